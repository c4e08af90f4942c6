/*
 * HELPER - job A: the resident program that suspends and resumes.
 *
 * One SSH exec channel starts it before the freeze window; requests come on
 * descriptor 0, answers go to descriptor 1 (CONTRACT.md section 3). On a
 * suspended system new jobs, logins, files and SQL connections may hang, so
 * everything that is needed in the window exists before it: conversion
 * tables, the pointer to the watchdog's space, job B and its socket, the
 * watchdog job. In the window this job reads a line, runs CHGASPACT in its
 * own process, writes a line. It opens nothing and starts nothing.
 *
 * Rules that keep production alive:
 *  - RESUME is always tried, whatever this program believes.
 *  - An ASP counts as touched from BEFORE the suspend is sent until a
 *    resume ended without an exception: a failed suspend may have suspended.
 *  - Whatever ends this job (end of channel, signal, ENDJOB), touched ASPs
 *    are resumed first, in reverse order.
 *  - Job A never waits for job B.
 */
#include "clnkit.h"
#include "clnpair.h"
#include "helper.h"

#define MAXLINE   256
#define MAXASPS   20
#define MAXARGS   6

static int  touchedCount;
static char touched[MAXASPS][11];
static int  suspended[MAXASPS];
static int  hello;
static int  spare;
static char token[33];
static long long born;
static volatile int stop;              /* set by a signal */

/* --- CHGASPACT --------------------------------------------------------- */

static int chgaspact(const char *asp, const char *rest)
{
   char command[128];

   sprintf(command, "CHGASPACT ASPDEV(%s) %s", asp, rest);
   /* system() runs the command in this job. Exit by return code only:
      the message ids of CHGASPACT are not known, and are not needed. */
   return system(command);
}

static int touchedIndex(const char *asp)
{
   int i;

   for (i = 0; i < touchedCount; i++)
      if (strcmp(touched[i], asp) == 0)
         return i;
   return -1;
}

static void untouch(const char *asp)
{
   int i = touchedIndex(asp);

   if (i < 0)
      return;
   for (touchedCount--; i < touchedCount; i++) {
      strcpy(touched[i], touched[i + 1]);
      suspended[i] = suspended[i + 1];
   }
}

static int anySuspended(void)
{
   int i;

   for (i = 0; i < touchedCount; i++)
      if (suspended[i])
         return 1;
   return 0;
}

/* The last thing this job does while an ASP is touched. Must need nothing
   that could be missing: no channel, no job B, no file. */
static void resumeAll(void)
{
   int had = touchedCount;
   int tries;

   while (touchedCount > 0) {
      char *asp = touched[touchedCount - 1];

      for (tries = 0; tries < 3; tries++) {
         if (chgaspact(asp, "OPTION(*RESUME)") == 0)
            break;
         sleep(1);
      }
      if (tries == 3)
         helperSay("CLN0032", asp, 1);
      touchedCount--;
   }
   if (had > 0)
      helperSay("CLN0031", token, 0);
}

/* ENDJOB *IMMED, and any other way the program is cancelled. */
static void onCancel(_CNL_Hndlr_Parms_T *parms)
{
   (void)parms;
   resumeAll();
}

static void onSignal(int number)
{
   (void)number;
   stop = 1;
}

/* --- the channel -------------------------------------------------------- */

/* Blocks for one line. Returns its length, -1 at the end of the channel, -2
   when it was too long or not ASCII (the rest of it was skipped). */
static int readLine(char out[MAXLINE + 1])
{
   static char buffer[512];
   static int  have;
   static int  at;
   char raw[MAXLINE + 1];
   int  len = 0;
   int  bad = 0;
   char c;

   for (;;) {
      if (stop)
         return -1;
      if (at == have) {
         have = (int)read(0, buffer, sizeof(buffer));
         at = 0;
         if (have <= 0) {
            if (have < 0 && errno == EINTR && !stop) {
               have = 0;
               continue;
            }
            have = 0;
            return -1;
         }
      }
      c = buffer[at++];
      if (c == KIT_LF)
         break;
      if (c == 0x0D)                         /* a terminal's CR */
         continue;
      if (len == MAXLINE || (unsigned char)c < 0x20
          || (unsigned char)c > 0x7E)
         bad = 1;
      else
         raw[len++] = c;
   }
   if (bad || kitConvert(kitToJob, raw, len, out, MAXLINE + 1) < 0)
      return -2;
   return len;
}

/* One answer. An answer that cannot be written ends the helper: without a
   channel nobody can order the resume, so it happens by itself. */
static void answer(const char *seq, const char *status, long long began,
                   const char *rest)
{
   char line[600];
   char bytes[700];
   long long now = kitMillis();
   int  len;

   sprintf(line, "%s %s at=%lld ms=%lld%s%s", seq, status, began - born,
           now - began, rest[0] ? " " : "", rest);
   len = kitConvert(kitToUtf, line, (int)strlen(line), bytes,
                    sizeof(bytes) - 1);
   if (len < 0) {
      stop = 1;
      return;
   }
   bytes[len++] = KIT_LF;
   if (write(1, bytes, (size_t)len) != len)
      stop = 1;
}

static void refuse(const char *seq, long long began, const char *id,
                   const char *text)
{
   char rest[200];

   sprintf(rest, "id=%.7s text=%.130s", id, text);
   answer(seq, "ERR", began, rest);
}

/* --- the verbs ---------------------------------------------------------- */

static void doHello(const char *seq, long long t, int n, char **arg)
{
   char rest[400];
   char id[8];

   if (hello || strcmp(arg[0], KIT_PROTOCOL) != 0)
      refuse(seq, t, "CLN0003", "hello was said, or another protocol");
   else if (!validToken(arg[1]))
      refuse(seq, t, "CLN0009", "run token not valid");
   else if (n == 3 && strcmp(arg[2], "SPARE") != 0)
      refuse(seq, t, "CLN0001", "SPARE or nothing");
   else {
      strcpy(token, arg[1]);
      spare = n == 3;
      if (helperHello(rest, !spare, id) != 0)
         refuse(seq, t, id, "not ready");
      else {
         hello = 1;
         answer(seq, "OK", t, rest);
      }
   }
}

static void doSuspend(const char *seq, long long t, char **arg)
{
   char command[80];
   char rest[24];
   int  seconds = atoi(arg[1]);
   int  i;

   if (!validAsp(arg[0]))
      refuse(seq, t, "CLN0005", arg[0]);
   else if (seconds < 1 || seconds > 3600 || !allDigits(arg[1]))
      refuse(seq, t, "CLN0006", arg[1]);
   else if (strcmp(arg[2], "END") != 0 && strcmp(arg[2], "CONT") != 0)
      refuse(seq, t, "CLN0001", "END or CONT");
   else if (spare)
      refuse(seq, t, "CLN0010", "a spare does not suspend");
   else if ((i = touchedIndex(arg[0])) >= 0 && suspended[i])
      refuse(seq, t, "CLN0025", arg[0]);
   else if (touchedCount == MAXASPS)
      refuse(seq, t, "CLN0006", "too many ASPs");
   else if (!watchdogAlive(token))
      refuse(seq, t, "CLN0020", "no live watchdog");
   else if (seconds >= watchdogRemaining())
      refuse(seq, t, "CLN0021", "watchdog would fire first");
   else {
      if (i < 0) {
         i = touchedCount;
         strcpy(touched[i], arg[0]);
         suspended[i] = 0;
         touchedCount++;                   /* before the command is sent */
      }
      sprintf(command, "OPTION(*SUSPEND) SSPTIMO(%d) SSPTIMOACN(*%s)",
              seconds, arg[2]);
      if (chgaspact(arg[0], command) != 0)
         refuse(seq, t, _EXCP_MSGID, "suspend failed: send RESUME");
      else {
         suspended[i] = 1;
         sprintf(rest, "asp=%s", arg[0]);
         answer(seq, "OK", t, rest);
      }
   }
}

static void doAspCommand(const char *seq, long long t, const char *asp,
                         const char *option, int resumes)
{
   char rest[24];

   if (!validAsp(asp))
      refuse(seq, t, "CLN0005", asp);
   else if (chgaspact(asp, option) != 0)
      refuse(seq, t, _EXCP_MSGID, "command failed");
   else {
      if (resumes)
         untouch(asp);
      sprintf(rest, "asp=%s", asp);
      answer(seq, "OK", t, rest);
   }
}

static void doPing(const char *seq, long long t)
{
   char rest[300];
   int  i;
   int  any = 0;

   strcpy(rest, "suspended=");
   for (i = 0; i < touchedCount; i++)
      if (suspended[i]) {
         sprintf(rest + strlen(rest), "%s%s", any ? "," : "", touched[i]);
         any = 1;
      }
   if (!any)
      strcat(rest, "-");
   answer(seq, "OK", t, rest);
}

/* Returns 1 when the helper is to end. */
static int obey(char *line)
{
   char *word[MAXARGS + 2];
   char *verb;
   char **arg;
   char *seq;
   char  rest[300];
   char  id[8];
   int   n = 0;
   long long t = kitMillis();

   for (seq = strtok(line, " "); seq != NULL && n < MAXARGS + 2;
        seq = strtok(NULL, " "))
      word[n++] = seq;
   if (n == 0)
      return 0;                            /* an empty line is nothing */
   seq = word[0];
   seq[strlen(seq) > 16 ? 16 : strlen(seq)] = 0;
   verb = n > 1 ? word[1] : "";
   arg = word + 2;
   n = n > 2 ? n - 2 : 0;

   if (strcmp(verb, "HELLO") == 0 && (n == 2 || n == 3))
      doHello(seq, t, n, arg);
   else if (!hello)
      refuse(seq, t, "CLN0002", "HELLO first");
   else if (strcmp(verb, "PING") == 0 && n == 0)
      doPing(seq, t);
   else if (strcmp(verb, "SUSPEND") == 0 && n == 3)
      doSuspend(seq, t, arg);
   else if (strcmp(verb, "RESUME") == 0 && n == 1)
      doAspCommand(seq, t, arg[0], "OPTION(*RESUME)", 1);
   else if (strcmp(verb, "FORCEWRITE") == 0 && n == 1)
      doAspCommand(seq, t, arg[0], "OPTION(*FRCWRT)", 0);
   else if (strcmp(verb, "CANARY") == 0 && n == 1) {
      if (spare)
         refuse(seq, t, "CLN0010", "a spare has no canary");
      else if (strcmp(arg[0], "*SYSBAS") != 0)
         refuse(seq, t, "CLN0028", arg[0]);
      else if (canaryStart(id) != 0)
         refuse(seq, t, id, "canary not started");
      else
         answer(seq, "PENDING", t, "asp=*SYSBAS");
   }
   else if (strcmp(verb, "CANARYSTATE") == 0 && n == 0) {
      int pending = canaryState(rest, born, id);

      if (pending < 0)
         refuse(seq, t, id, "job B is gone");
      else
         answer(seq, pending ? "PENDING" : "OK", t, rest);
   }
   else if (strcmp(verb, "WATCHDOG") == 0 && n == 3
            && strcmp(arg[0], "ARM") == 0) {
      if (spare)
         refuse(seq, t, "CLN0010", "a spare has no watchdog");
      else if (anySuspended())
         refuse(seq, t, "CLN0026", "resume first");
      else if (!validAspList(arg[2]))
         refuse(seq, t, "CLN0005", arg[2]);
      else if (watchdogArm(token, arg[1], arg[2], rest, id) != 0)
         refuse(seq, t, id, "watchdog not armed");
      else
         answer(seq, "OK", t, rest);
   }
   else if (strcmp(verb, "WATCHDOG") == 0 && n == 1
            && strcmp(arg[0], "STATE") == 0) {
      watchdogState(rest);
      answer(seq, "OK", t, rest);
   }
   else if (strcmp(verb, "WATCHDOG") == 0 && n == 1
            && strcmp(arg[0], "DISARM") == 0) {
      if (anySuspended())
         refuse(seq, t, "CLN0026", "resume first");
      else if (watchdogDisarm(rest, id) != 0)
         refuse(seq, t, id, "end of the watchdog not proved");
      else
         answer(seq, "OK", t, rest);
   }
   else if (strcmp(verb, "QUIT") == 0 && n == 0) {
      if (anySuspended())
         refuse(seq, t, "CLN0026", "resume first");
      else {
         answer(seq, "OK", t, "");
         return 1;
      }
   }
   else
      refuse(seq, t, "CLN0001", verb);
   return 0;
}

int main(int argc, char *argv[])
{
   static char line[MAXLINE + 1];
   static volatile int nothing;
   struct sigaction act;
   int done = 0;

   #pragma cancel_handler(onCancel, nothing)
   born = kitMillis();
   if (kitConvertInit() != 0)
      return 1;
   Qp0sEnableSignals();
   memset(&act, 0, sizeof(act));
   act.sa_handler = onSignal;
   sigaction(SIGTERM, &act, NULL);
   sigaction(SIGHUP, &act, NULL);
   act.sa_handler = SIG_IGN;
   sigaction(SIGPIPE, &act, NULL);       /* write() says EPIPE instead */

   while (!done && !stop) {
      int len = readLine(line);

      if (len == -1)
         break;
      if (len == -2)
         refuse("-", kitMillis(), "CLN0004", "line not valid");
      else
         done = obey(line);
   }
   resumeAll();
   canaryEnd();
   #pragma disable_handler
   return 0;
}
