/*
 * CANARY - job B of the helper: one commit that waits while the ASP is
 * suspended.
 *
 * Started by HELPER with spawn() before the window. Descriptor 0 is one end
 * of a socket pair: orders come in, reports go out. It is never connected to
 * the shell or the SSH channel.
 *
 * Why a job of its own: a commit that hangs, hangs its whole job. If it hung
 * in job A, nobody could send RESUME.
 *
 * Why record I/O and not SQL: an SQL statement may open a cursor, a package,
 * an activation group's SQL run time or a temporary result, and each of
 * these might hang (or not) for reasons that prove nothing. Here the file is
 * open, the record is known, the commitment definition exists, and one trial
 * commit was done before HELLO was answered. What is left is exactly: start
 * a transaction, change one record of a journaled file, commit.
 *
 * The danger of a canary is a false "suspended": a commit that is slow for
 * another reason. So job A reports the age of the canary and the duration of
 * the trial, and never says "suspended" itself.
 */
#include "clnkit.h"
#include <recio.h>
#include <stddef.h>
#include "clnpair.h"

static _RFILE *file;

static void report(char what, const char *id)
{
   PairReport r;

   memset(&r, 0, sizeof(r));
   r.what = what;
   memcpy(r.id, id, 7);
   r.at = kitMillis();
   write(0, &r, sizeof(r));
}

/* One transaction. Returns 0, or leaves the id of the failure in id. */
static int commitOnce(char id[8])
{
   static unsigned int counter = 0;
   char record[CANARY_LENGTH];
   _RIOFB_T *fb;

   strcpy(id, "-------");
   memset(record, ' ', sizeof(record));
   /* Reads the only record for update: takes its lock under commitment
      control. Nobody else uses this file. */
   fb = _Rreadf(file, record, sizeof(record), __DFT);
   if (fb->num_bytes != CANARY_LENGTH) {
      memcpy(id, _EXCP_MSGID, 7);
      _Rrollbck();
      return -1;
   }
   sprintf(record, "%010u", ++counter);
   record[10] = ' ';
   fb = _Rupdate(file, record, sizeof(record));
   if (fb->num_bytes != CANARY_LENGTH) {
      memcpy(id, _EXCP_MSGID, 7);
      _Rrollbck();
      return -1;
   }
   if (_Rcommit("IBMICLONE") != 1) {
      memcpy(id, _EXCP_MSGID, 7);
      _Rrollbck();
      return -1;
   }
   return 0;
}

/* Errors of record I/O must come back as return codes. By default the run
   time turns an exception into SIGIO handling; ignoring it is the documented
   way to see the return value only. */
static int openAll(void)
{
   signal(SIGIO, SIG_IGN);
   /* *CHG: the changed record is locked until the commit, nothing else.
      Scoped to the job: record I/O of any activation group finds it. */
   if (system("STRCMTCTL LCKLVL(*CHG) CMTSCOPE(*JOB)") != 0)
      return -1;
   file = _Ropen("IBMICLONE/CLNCANARY", "rr+, commit=Y, blkrcd=N");
   return file == NULL ? -1 : 0;
}

static void ownName(char out[29])
{
   char     info[100];
   char     name[11];
   char     user[11];
   KitError err;

   kitErrorInit(&err);
   memset(info, ' ', sizeof(info));
   QUSRJOBI(info, 86, "JOBI0100", "*                         ",
            "                ", &err);
   kitTrim(info + 8, 10, name);
   kitTrim(info + 18, 10, user);
   sprintf(out, "%.6s/%s/%s", info + 28, user, name);
}

int main(int argc, char *argv[])
{
   PairHello hello;
   char      order;
   char      id[8] = "-------";
   long long start;

   memset(&hello, 0, sizeof(hello));
   ownName(hello.job);
   if (openAll() != 0) {
      memcpy(hello.id, _EXCP_MSGID, 7);
      write(0, &hello, sizeof(hello));
      return 1;
   }
   start = kitMillis();
   if (commitOnce(id) != 0) {
      memcpy(hello.id, id, 7);
      write(0, &hello, sizeof(hello));
      return 1;
   }
   hello.trialMs = (int)(kitMillis() - start);
   hello.ready = 1;
   if (write(0, &hello, sizeof(hello)) != (int)sizeof(hello))
      return 1;

   /* The end of the socket is the end of this job: job A has gone. Nothing
      is to be undone here, a pending commit completes after the resume. */
   while (read(0, &order, 1) == 1) {
      if (order != PAIR_GO)
         break;
      report(PAIR_BEGAN, "-------");
      if (commitOnce(id) == 0)
         report(PAIR_DONE, "-------");
      else
         report(PAIR_FAILED, id);
   }
   _Rclose(file);
   system("ENDCMTCTL");
   return 0;
}
