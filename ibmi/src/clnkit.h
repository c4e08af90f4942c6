/*
 * clnkit.h - what the C programs of the guest kit share.
 *
 * Stream files and the helper's channel carry ASCII (UTF-8); programs and
 * CL work in the job's EBCDIC. Lines are cut on the byte X'0A' BEFORE
 * conversion: an EBCDIC newline is X'15' or X'25' depending on the table,
 * so a newline must never go through iconv.
 *
 * Everything is static: each program is one module and needs no service
 * program of the kit, hence nothing to be missing when a copy starts.
 */
#ifndef CLNKIT_H
#define CLNKIT_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>
#include <time.h>
#include <sys/time.h>
#include <sys/stat.h>
#include <iconv.h>
#include <qtqiconv.h>
#include <qusec.h>
#include <qmhsndpm.h>
#include <qc3hash.h>

#define KIT_VERSION   "1.2.0"
#define KIT_PROTOCOL  "1"
#define KIT_DIR       "/ibmiclone"
#define KIT_MAXFILE   30000
#define KIT_HASHLEN   64
#define KIT_LF        0x0A

/* An error code that returns errors instead of sending them as escapes. */
typedef struct {
   Qus_EC_t ec;
   char     data[240];
} KitError;

static void kitErrorInit(KitError *e)
{
   memset(e, 0, sizeof(*e));
   e->ec.Bytes_Provided = sizeof(*e);
}

/* Conversion with tables made once: inside the freeze window nothing may
   open a table, since that can mean reading an object for the first time. */
static iconv_t kitToJob;
static iconv_t kitToUtf;

static int kitConvertInit(void)
{
   QtqCode_T job  = {0, 0, 0, 0, 0, 0};       /* CCSID 0 = the job's */
   QtqCode_T utf8 = {1208, 0, 0, 0, 0, 0};

   kitToJob = QtqIconvOpen(&job, &utf8);
   kitToUtf = QtqIconvOpen(&utf8, &job);
   return kitToJob.return_value == -1 || kitToUtf.return_value == -1;
}

/* Returns the number of bytes written, or -1. The output is terminated. */
static int kitConvert(iconv_t cd, const char *in, int len, char *out, int max)
{
   char  *from = (char *)in;
   char  *to = out;
   size_t left = (size_t)len;
   size_t room = (size_t)(max - 1);

   if (iconv(cd, &from, &left, &to, &room) == (size_t)-1 || left != 0)
      return -1;
   *to = 0;
   return (int)(to - out);
}

/* Epoch milliseconds. The wall clock: IBM i adjusts it by steering, not by
   stepping, and the two jobs of the helper must use one scale. */
static long long kitMillis(void)
{
   struct timeval now;

   gettimeofday(&now, NULL);
   return (long long)now.tv_sec * 1000LL + now.tv_usec / 1000;
}

/* YYYY-MM-DDTHH:MM:SSZ. gmtime depends on a right QTIMZON. */
static void kitUtc(time_t when, char out[21])
{
   struct tm *t = gmtime(&when);

   sprintf(out, "%04d-%02d-%02dT%02d:%02d:%02dZ", t->tm_year + 1900,
           t->tm_mon + 1, t->tm_mday, t->tm_hour, t->tm_min, t->tm_sec);
}

/* Lower-case hexadecimal SHA-256, in ASCII, of ASCII bytes. */
static int kitHash(const char *bytes, int len, char hex[KIT_HASHLEN + 1])
{
   Qc3_Format_ALGD0500_T alg;
   unsigned char hash[32];
   char     provider = Qc3_Any_CSP;
   KitError err;
   int      i;
   int      n = len;
   /* ASCII digits by number: the literals of this file are EBCDIC. */
   static const unsigned char digit[16] = {
      0x30, 0x31, 0x32, 0x33, 0x34, 0x35, 0x36, 0x37,
      0x38, 0x39, 0x61, 0x62, 0x63, 0x64, 0x65, 0x66 };

   kitErrorInit(&err);
   memset(&alg, 0, sizeof(alg));
   alg.Hash_Alg = Qc3_SHA256;
   Qc3CalculateHash((char *)bytes, &n, Qc3_Data, (char *)&alg, Qc3_Alg_Hash,
                    &provider, NULL, (char *)hash, &err);
   if (err.ec.Bytes_Available != 0)
      return -1;
   for (i = 0; i < 32; i++) {
      hex[2 * i]     = (char)digit[hash[i] >> 4];
      hex[2 * i + 1] = (char)digit[hash[i] & 15];
   }
   hex[KIT_HASHLEN] = 0;
   return 0;
}

/* Escape to the caller of this program. Control does not come back. */
static void kitEscape(const char *id, const char *data)
{
   char     key[4];
   KitError err;

   err.ec.Bytes_Provided = 0;           /* a failure here is an escape too */
   QMHSNDPM((char *)id, "CLNMSGF   IBMICLONE ", (char *)data,
            (int)strlen(data), "*ESCAPE   ", "*CTLBDY   ", 1, key, &err);
   exit(1);
}

/* Copies a CL parameter (blank padded, not terminated) into a C string. */
static void kitTrim(const char *parm, int len, char *out)
{
   while (len > 0 && (parm[len - 1] == ' ' || parm[len - 1] == 0))
      len--;
   memcpy(out, parm, (size_t)len);
   out[len] = 0;
}

/* Copies a C string into a CL parameter. */
static void kitPad(const char *text, char *parm, int len)
{
   int n = (int)strlen(text);

   if (n > len)
      n = len;
   memset(parm, ' ', (size_t)len);
   memcpy(parm, text, (size_t)n);
}

#endif
