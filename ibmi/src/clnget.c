/*
 * CLNGET - value of one key of a text file of the kit, checksum proved.
 *
 *   CALL IBMICLONE/CLNGET PARM(&FILE &KEY &VALUE)
 *   &FILE  CHAR(32)   name below /ibmiclone, e.g. 'run.parm'
 *   &KEY   CHAR(32)   e.g. 'interface.1.address'
 *   &VALUE CHAR(256)  blank padded
 *
 * Escapes: CLN0101 no file; CLN0102 not to be trusted; CLN0103 no key.
 *
 * The whole file is proved on every call. That costs a few hundred
 * microseconds for 30,000 bytes and means that a file which changes between
 * two reads can never be half believed: each value comes from a file whose
 * own checksum was right. A key that stands twice makes the file untrusted,
 * or the CL side and the operator could read different values of it.
 */
#include "clnkit.h"

/* "checksum=" and "version=1" in ASCII: file content is compared as bytes,
   before any conversion table is trusted. */
static const char SUM[]     = { 0x63, 0x68, 0x65, 0x63, 0x6B, 0x73, 0x75,
                                0x6D, 0x3D };
static const char VERSION[] = { 0x76, 0x65, 0x72, 0x73, 0x69, 0x6F, 0x6E,
                                0x3D, 0x31, 0x0A };
#define ASCII_EQUALS  0x3D

static int readAll(const char *path, char *buffer, int max)
{
   int fd = open(path, O_RDONLY);            /* binary: no O_TEXTDATA */
   int total = 0;
   int n;

   if (fd < 0)
      return -1;
   while (total < max
          && (n = (int)read(fd, buffer + total, (size_t)(max - total))) > 0)
      total += n;
   close(fd);
   return total;
}

/* Length of the part before the checksum line, or -1. */
static int provedLength(const char *text, int len)
{
   const int tail = (int)sizeof(SUM) + KIT_HASHLEN + 1;    /* and its LF */
   char      hex[KIT_HASHLEN + 1];
   int       body = len - tail;

   if (body < (int)sizeof(VERSION) || text[len - 1] != KIT_LF
       || text[body - 1] != KIT_LF
       || memcmp(text + body, SUM, sizeof(SUM)) != 0)
      return -1;
   if (kitHash(text, body, hex) != 0
       || memcmp(text + body + sizeof(SUM), hex, KIT_HASHLEN) != 0)
      return -1;
   return body;
}

/* Exactly one line "version=1", wherever it stands. */
static int versionIsOurs(const char *text, int len)
{
   int at;
   int found = 0;

   for (at = 0; at + (int)sizeof(VERSION) <= len; at++) {
      if ((at == 0 || text[at - 1] == KIT_LF)
          && memcmp(text + at, VERSION, sizeof(VERSION)) == 0)
         found++;
   }
   return found == 1;
}

int main(int argc, char *argv[])
{
   static char text[KIT_MAXFILE + 1];
   char path[80];
   char name[33];
   char key[33];
   char keyAscii[40];
   char value[257];
   int  keyLen;
   int  len;
   int  body;
   int  at;
   int  end;
   int  from = -1;
   int  until = 0;

   if (argc != 4 || kitConvertInit() != 0)
      kitEscape("CLN0102", "START");
   kitTrim(argv[1], 32, name);
   kitTrim(argv[2], 32, key);

   /* The path is opened by an EBCDIC name; open() converts it. */
   sprintf(path, "%s/%s", KIT_DIR, name);
   len = readAll(path, text, sizeof(text));
   if (len < 0)
      kitEscape("CLN0101", name);
   if (len > KIT_MAXFILE)
      kitEscape("CLN0102", name);
   body = provedLength(text, len);
   if (body < 0 || !versionIsOurs(text, body))
      kitEscape("CLN0102", name);

   keyLen = kitConvert(kitToUtf, key, (int)strlen(key), keyAscii,
                       sizeof(keyAscii));
   if (keyLen < 1)
      kitEscape("CLN0103", key);

   for (at = 0; at < body; at = end + 1) {
      for (end = at; text[end] != KIT_LF; end++)
         ;                               /* text[body - 1] is a LF: bounded */
      if (end - at > keyLen && text[at + keyLen] == ASCII_EQUALS
          && memcmp(text + at, keyAscii, (size_t)keyLen) == 0) {
         if (from >= 0)
            kitEscape("CLN0102", name);
         from = at + keyLen + 1;
         until = end;
      }
   }
   if (from < 0)
      kitEscape("CLN0103", key);
   if (until - from > 256
       || kitConvert(kitToJob, text + from, until - from, value,
                     sizeof(value)) < 0)
      kitEscape("CLN0102", name);
   kitPad(value, argv[3], 256);
   return 0;
}
