/*
 * helpdog.c - third module of HELPER: arming, watching and disarming the
 * watchdog (CONTRACT.md section 4).
 *
 * The two jobs share one user space. Reading it through a pointer needs no
 * lock, no file and no database, so it can be read while everything else on
 * the system hangs. Each field has exactly one writer; there is nothing to
 * synchronise beyond a counter that must move.
 */
#include "clnkit.h"
#include "clnpair.h"
#include "helper.h"
#include "space.h"

static long long lastBeat;               /* when beats was seen to change */
static long lastCount = -1;

static long number(const volatile char *field, int len)
{
   char text[32];
   int  i;

   for (i = 0; i < len && i < 31; i++)
      text[i] = field[i];
   text[i] = 0;
   return atol(text);
}

static void word(const volatile char *field, int len, char *out)
{
   int i;

   for (i = 0; i < len && field[i] != ' ' && field[i] != 0; i++)
      out[i] = field[i];
   out[i] = 0;
}

static void put(volatile char *field, int len, const char *text)
{
   int i;

   for (i = 0; i < len; i++)
      field[i] = *text != 0 ? *text++ : ' ';
}

static int stateIs(const char *wanted)
{
   char state[11];

   word(space->state, 10, state);
   return strcmp(state, wanted) == 0;
}

/* Alive = ACTIVE, ours, and its counter moved within the last 3 seconds.
   Called rarely: so a counter that differs from the last look counts as
   movement now, and the first look starts the clock. */
int watchdogAlive(const char *token)
{
   char theirs[33];
   long count;
   long long now = kitMillis();

   if (space == NULL || !stateIs("ACTIVE"))
      return 0;
   word(space->token, 32, theirs);
   if (strcmp(theirs, token) != 0)
      return 0;
   count = number(space->beats, 10);
   if (count != lastCount) {
      lastCount = count;
      lastBeat = now;
   }
   return now - lastBeat < 3000;
}

int watchdogRemaining(void)
{
   return (int)number(space->remain, 10);
}

void watchdogState(char *rest)
{
   char state[11];

   word(space->state, 10, state);
   sprintf(rest, "state=%s beats=%ld remaining=%ld",
           state[0] ? state : "NONE", number(space->beats, 10),
           number(space->remain, 10));
}

/* Is the job of the space gone? By the job status API, since the job itself
   writes ENDED a moment before it ends, and a crash writes nothing. */
static int jobGone(void)
{
   char     qualified[27];
   char     job[29];
   char     info[100];
   char    *user;
   char    *name;
   KitError err;

   word(space->job, 28, job);
   if (job[0] == 0)
      return 1;                          /* never became active */
   user = strchr(job, '/');
   if (user == NULL)
      return 0;
   *user++ = 0;
   name = strchr(user, '/');
   if (name == NULL)
      return 0;
   *name++ = 0;
   kitPad(name, qualified, 10);
   kitPad(user, qualified + 10, 10);
   kitPad(job, qualified + 20, 6);
   kitErrorInit(&err);
   memset(info, ' ', sizeof(info));
   QUSRJOBI(info, 86, "JOBI0100", qualified, "                ", &err);
   if (err.ec.Bytes_Available != 0)
      /* CPF3C53: job not found. CPF3C54, CPF3C55: no longer in the system.
         Anything else proves nothing. */
      return memcmp(err.ec.Exception_Id, "CPF3C53", 7) == 0
          || memcmp(err.ec.Exception_Id, "CPF3C54", 7) == 0
          || memcmp(err.ec.Exception_Id, "CPF3C55", 7) == 0;
   return memcmp(info + 50, "*OUTQ", 5) == 0;
}

int watchdogArm(const char *token, const char *seconds, const char *asps,
                char *rest, char id[8])
{
   char command[400];
   char job[29];
   char until[21];
   int  limit = atoi(seconds);
   int  waited;

   if (!allDigits(seconds) || limit < 10 || limit > 720) {
      strcpy(id, "CLN0006");
      return -1;
   }
   if (!jobGone()) {
      strcpy(id, "CLN0023");
      return -1;
   }
   put(space->state, 10, "SUBMITTED");
   put(space->token, 32, token);
   put(space->beats, 10, "0");
   put(space->remain, 10, seconds);
   put(space->job, 28, "");
   put(space->order, 10, "");
   put(space->resumed, 10, "0");
   put(space->text, 80, "");
   put(space->asps, 400, asps);
   lastCount = -1;

   sprintf(command, "SBMJOB CMD(CALL PGM(IBMICLONE/WATCHDOG) "
           "PARM('%s' '%s')) JOB(CLNWDOG) JOBQ(QSYS/QSYSNOMAX) "
           "LOG(4 00 *SECLVL) INQMSGRPY(*DFT) MSGQ(*NONE)", token, seconds);
   strcpy(id, "CLN0022");
   if (system(command) != 0) {
      put(space->state, 10, "NONE");
      return -1;
   }
   for (waited = 0; !stateIs("ACTIVE") || number(space->beats, 10) < 1;
        waited++) {
      if (waited >= 300) {
         /* A job that starts later must not fire into another window: it
            looks at its order before anything else. */
         put(space->order, 10, "DISARM");
         return -1;
      }
      usleep(100000);
   }
   word(space->job, 28, job);
   kitUtc(time(NULL) + watchdogRemaining(), until);
   watchdogAlive(token);
   sprintf(rest, "job=%s deadline=%s beats=%ld", job, until,
           number(space->beats, 10));
   return 0;
}

int watchdogDisarm(char *rest, char id[8])
{
   char job[29];
   int  waited;

   word(space->job, 28, job);
   put(space->order, 10, "DISARM");
   for (waited = 0; !jobGone(); waited++) {
      if (waited >= 100) {
         strcpy(id, "CLN0024");
         return -1;
      }
      usleep(100000);
   }
   /* FIRED and FAILED stay to be read: a fired watchdog means that the
      image is not clean, and disarming must not wipe that out. */
   if (!stateIs("FIRED") && !stateIs("FAILED"))
      put(space->state, 10, "ENDED");
   {
      char state[11];

      word(space->state, 10, state);
      sprintf(rest, "state=%s job=%s", state, job[0] ? job : "-");
   }
   return 0;
}
