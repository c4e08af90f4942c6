/*
 * hellojob.c - second module of HELPER: HELLO and job B.
 *
 * What is allowed when: helperHello is slow and stands outside the freeze
 * window. canaryStart and canaryState touch only memory and a socket, and
 * are safe inside.
 */
#include "clnkit.h"
#include "clnpair.h"
#include "helper.h"
#include "space.h"
#include <ctype.h>
#include <spawn.h>
#include <sys/types.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <qusptrus.h>
#include <qmhsndm.h>
#include <miptrnam.h>

volatile Space *space;
static int  pair = -1;                   /* our end of the socket pair */
static pid_t jobB;
static PairHello canaryHello;

static enum { IDLE, SENT, BEGAN, DONE, FAILED, GONE } canary = IDLE;
static long long beganAt;
static long long endedAt;
static char canaryId[8];

/* By API: SNDPGMMSG is for CL programs only, system() may not run it. A
   message that cannot be sent is not worth stopping for. */
void helperSay(const char *id, const char *data, int operator)
{
   char     key[4];
   KitError err;

   kitErrorInit(&err);
   if (operator)
      QMHSNDM((char *)id, "CLNMSGF   IBMICLONE ", (char *)data,
              (int)strlen(data), "*INFO     ", "*SYSOPR             ", 1,
              "                    ", key, &err);
   else
      QMHSNDPM((char *)id, "CLNMSGF   IBMICLONE ", (char *)data,
               (int)strlen(data), "*DIAG     ", "*         ", 0, key, &err);
}

int validAsp(const char *asp)
{
   int i;

   if (strcmp(asp, "*SYSBAS") == 0)
      return 1;
   if (strlen(asp) < 1 || strlen(asp) > 10)
      return 0;
   for (i = 0; asp[i] != 0; i++)
      if (!isupper(asp[i]) && asp[i] != '$' && asp[i] != '#'
          && asp[i] != '@' && (i == 0 || (!isdigit(asp[i])
          && asp[i] != '_' && asp[i] != '.')))
         return 0;
   return 1;
}

int validAspList(const char *asps)
{
   char one[404];
   const char *end;

   if (strlen(asps) > 400)
      return 0;
   for (;;) {
      end = strchr(asps, ',');
      strcpy(one, asps);
      if (end != NULL)
         one[end - asps] = 0;
      if (!validAsp(one))
         return 0;
      if (end == NULL)
         return 1;
      asps = end + 1;
   }
}

int validToken(const char *token)
{
   int i;
   int len = (int)strlen(token);

   if (len < 8 || len > 32)
      return 0;
   for (i = 0; i < len; i++)
      if (!isupper(token[i]) && !isdigit(token[i]))
         return 0;
   return 1;
}

int allDigits(const char *text)
{
   for (; *text != 0; text++)
      if (!isdigit(*text))
         return 0;
   return 1;
}

/* --- HELLO --------------------------------------------------------------- */

typedef void (ProgramOfFour)(char *, char *, char *, char *);
#pragma linkage(ProgramOfFour, OS)

/* CLNID adopts its owner, so this profile needs no authority to QPMLPMGT.
   An escape of CLNID (CLN0105) is caught by the handler: then there is no
   identity, and HELLO is refused. */
static int identity(char *serial, char *part, char *scpf, char *clock)
{
   ProgramOfFour *clnid;
   char p1[10];
   char p2[10];
   char p3[13];
   char p4[20];

   #pragma exception_handler(noIdentity, 0, 0, _C2_MH_ESCAPE, \
                             _CTLA_HANDLE_NO_MSG)
   clnid = (ProgramOfFour *)rslvsp(_Program, "CLNID", "IBMICLONE",
                                   _AUTH_EXECUTE);
   clnid(p1, p2, p3, p4);
   #pragma disable_handler
   kitTrim(p1, 10, serial);
   kitTrim(p2, 10, part);
   kitTrim(p3, 13, scpf);
   kitTrim(p4, 20, clock);
   return 0;

noIdentity:
   return -1;
}

static void ownJob(char out[29])
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

static int startJobB(void)
{
   static char *argv[] = { "CLNCANARY", NULL };   /* becomes the job's name */
   static char *envp[] = { "QIBM_USE_DESCRIPTOR_STDIO=Y", NULL };
   struct inheritance inherit;
   int ends[2];
   int map[1];
   int waited = 0;

   if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) != 0)
      return -1;
   memset(&inherit, 0, sizeof(inherit));
   inherit.flags = SPAWN_SETJOBNAMEARGV_NP;
   inherit.pgroup = SPAWN_NEWPGROUP;     /* signals for A are not for B */
   map[0] = ends[1];                     /* the only descriptor B gets */
   jobB = spawn("/QSYS.LIB/IBMICLONE.LIB/CANARY.PGM", 1, map, &inherit,
                argv, envp);
   close(ends[1]);
   if (jobB < 0) {
      close(ends[0]);
      return -1;
   }
   pair = ends[0];
   fcntl(pair, F_SETFL, O_NONBLOCK);
   while (read(pair, &canaryHello, sizeof(canaryHello))
          != (int)sizeof(canaryHello)) {
      if (++waited > 300)                /* 30 s: a job start, an open */
         return -1;
      usleep(100000);
   }
   return canaryHello.ready ? 0 : -1;
}

int helperHello(char *rest, int withCanary, char id[8])
{
   char serial[11];
   char part[11];
   char scpf[14];
   char clock[21];
   char job[29];
   KitError err;
   void *found = NULL;

   if (identity(serial, part, scpf, clock) != 0) {
      strcpy(id, "CLN0008");
      return -1;
   }
   kitErrorInit(&err);
   QUSPTRUS("CLNWDOG   IBMICLONE ", &found, &err);
   if (err.ec.Bytes_Available != 0 || found == NULL) {
      strcpy(id, "CLN0020");
      return -1;
   }
   space = (Space *)found;
   if (withCanary && startJobB() != 0) {
      canaryEnd();
      strcpy(id, "CLN0007");
      return -1;
   }
   ownJob(job);
   sprintf(rest, "kit=%s protocol=%s jobA=%s jobB=%s serial=%s "
           "partition=%s scpf=%s clock=%s", KIT_VERSION, KIT_PROTOCOL, job,
           withCanary ? canaryHello.job : "-", serial, part, scpf, clock);
   if (withCanary)
      sprintf(rest + strlen(rest), " canaryMs=%d", canaryHello.trialMs);
   else
      strcat(rest, " canaryMs=-");
   return 0;
}

/* --- job B ---------------------------------------------------------------- */

/* Takes what job B has said, without waiting. */
static void listen_(void)
{
   PairReport r;
   int n;

   while (pair >= 0) {
      n = (int)read(pair, &r, sizeof(r));
      if (n == 0)
         canary = GONE;
      if (n != (int)sizeof(r))
         return;                         /* nothing more, or B is gone */
      if (r.what == PAIR_BEGAN) {
         canary = BEGAN;
         beganAt = r.at;
      }
      else {
         canary = r.what == PAIR_DONE ? DONE : FAILED;
         endedAt = r.at;
         memcpy(canaryId, r.id, 7);
         canaryId[7] = 0;
      }
   }
}

int canaryStart(char id[8])
{
   char go = PAIR_GO;

   listen_();
   strcpy(id, "CLN0029");
   if (pair < 0 || canary == GONE)
      return -1;
   if (canary == SENT || canary == BEGAN) {
      strcpy(id, "CLN0027");
      return -1;
   }
   canary = SENT;
   beganAt = 0;
   endedAt = 0;
   if (write(pair, &go, 1) != 1) {
      canary = GONE;
      return -1;
   }
   return 0;
}

int canaryState(char *rest, long long born, char id[8])
{
   static const char *word[] = { "IDLE", "PENDING", "PENDING", "DONE",
                                 "FAILED", "FAILED" };
   long long now = kitMillis();

   listen_();
   if (pair < 0 || canary == GONE) {
      strcpy(id, "CLN0029");
      return -1;
   }
   sprintf(rest, "state=%s", word[canary]);
   /* Ordered but not begun: job B has not run yet. No began, no age, so
      nobody can take it for a waiting commit. */
   if (beganAt != 0)
      sprintf(rest + strlen(rest), " began=%lld", beganAt - born);
   else
      strcat(rest, " began=-");
   if (endedAt != 0)
      sprintf(rest + strlen(rest), " ended=%lld", endedAt - born);
   else
      strcat(rest, " ended=-");
   if (beganAt != 0)
      sprintf(rest + strlen(rest), " age=%lld", now - beganAt);
   else
      strcat(rest, " age=-");
   if (canary == FAILED)
      sprintf(rest + strlen(rest), " id=%s", canaryId);
   return canary == SENT || canary == BEGAN;
}

/* Closing the socket ends job B by itself. Not waited for: a canary that
   hangs must not keep job A. */
void canaryEnd(void)
{
   int status;

   if (pair >= 0)
      close(pair);
   pair = -1;
   if (jobB > 0)
      waitpid(jobB, &status, WNOHANG);
}
