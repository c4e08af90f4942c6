/*
 * CLNREC - writes a record of the kit, or one line of its log.
 *
 *   CALL IBMICLONE/CLNREC PARM(&FILE &TEXT)
 *   &FILE  CHAR(32)    name below /ibmiclone: 'marker', 'ready', 'result',
 *                      'watchdog.fired'; '*OUT' = print to stdout;
 *                      'kit.log' = append &TEXT as one line
 *   &TEXT  CHAR(4000)  key=value pairs separated by ';' (no value holds one)
 *
 * A record gets version=1 as its first line and its checksum as the last.
 * It is written beside its name, forced to disk, then renamed: whoever finds
 * the name finds a whole record. That matters most for the marker, which is
 * written just before a re-IPL.
 *
 * Escape CLN0104 when the record is not certain to be on disk. The log line
 * never fails: losing a line must not stop a start-up.
 */
#include "clnkit.h"

#define MAXTEXT  4000
#define MAXOUT   (MAXTEXT * 2 + 128)

static const char SUM[] = "checksum=";

/* Turns "a=1;b=2" into lines of UTF-8. Returns the length, or -1. */
static int toLines(const char *text, char *out, int max)
{
   static char utf8[MAXOUT];
   int len = kitConvert(kitToUtf, text, (int)strlen(text), utf8,
                        sizeof(utf8));
   int i;

   if (len < 0 || len + 1 > max)
      return -1;
   for (i = 0; i < len; i++)
      out[i] = (char)(utf8[i] == 0x3B ? KIT_LF : utf8[i]);      /* ';' */
   out[len] = KIT_LF;
   return len + 1;
}

static int writeAll(int fd, const char *bytes, int len)
{
   int done = 0;
   int n;

   while (done < len) {
      n = (int)write(fd, bytes + done, (size_t)(len - done));
      if (n <= 0)
         return -1;
      done += n;
   }
   return 0;
}

static int replaceFile(const char *name, const char *bytes, int len)
{
   char path[80];
   char fresh[88];
   int  fd;
   int  bad;

   sprintf(path, "%s/%s", KIT_DIR, name);
   sprintf(fresh, "%s.new", path);
   unlink(fresh);
   /* O_CCSID tags the file 1208, so that a person who looks at it with
      DSPF or EDTF sees text. */
   fd = open(fresh, O_WRONLY | O_CREAT | O_EXCL | O_CCSID,
             S_IRUSR | S_IWUSR, 1208);
   if (fd < 0)
      return -1;
   bad = writeAll(fd, bytes, len) != 0 || fsync(fd) != 0;
   if (close(fd) != 0)
      bad = 1;
   /* Qp0lRenameUnlink replaces an existing name in one step; plain
      rename() may refuse that, depending on how the header maps it. */
   if (!bad && Qp0lRenameUnlink(fresh, path) == 0)
      return 0;
   unlink(fresh);
   return -1;
}

static void appendLog(const char *text)
{
   static char line[MAXOUT];
   char stamp[21];
   char both[MAXTEXT + 32];
   char path[80];
   int  len;
   int  fd;

   kitUtc(time(NULL), stamp);
   sprintf(both, "%s %s", stamp, text);
   len = kitConvert(kitToUtf, both, (int)strlen(both), line,
                    sizeof(line) - 1);
   if (len < 0)
      return;
   line[len++] = KIT_LF;
   sprintf(path, "%s/kit.log", KIT_DIR);
   fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CCSID,
             S_IRUSR | S_IWUSR, 1208);
   if (fd < 0)
      return;
   writeAll(fd, line, len);
   fsync(fd);
   close(fd);
}

int main(int argc, char *argv[])
{
   static char out[MAXOUT];
   char name[33];
   char text[MAXTEXT + 16];
   char hex[KIT_HASHLEN + 1];
   int  len;
   int  sum;

   if (argc != 3 || kitConvertInit() != 0)
      kitEscape("CLN0104", "START");
   kitTrim(argv[1], 32, name);
   if (strcmp(name, "kit.log") == 0) {
      kitTrim(argv[2], MAXTEXT, text);
      appendLog(text);
      return 0;
   }

   strcpy(text, "version=1;");
   kitTrim(argv[2], MAXTEXT, text + strlen(text));
   len = toLines(text, out, sizeof(out) - 128);
   if (len < 0 || kitHash(out, len, hex) != 0)
      kitEscape("CLN0104", name);
   sum = kitConvert(kitToUtf, SUM, (int)strlen(SUM), out + len, 32);
   if (sum < 0)
      kitEscape("CLN0104", name);
   memcpy(out + len + sum, hex, KIT_HASHLEN);
   len += sum + KIT_HASHLEN;
   out[len++] = KIT_LF;

   if (strcmp(name, "*OUT") == 0) {
      /* EBCDIC through stdio: the system utility converts it. */
      int i;

      fputs("\n", stdout);
      for (i = 0; text[i] != 0; i++)
         fputc(text[i] == ';' ? '\n' : text[i], stdout);
      kitConvert(kitToJob, hex, KIT_HASHLEN, text, sizeof(text));
      printf("\n%s%s\n", SUM, text);
      fflush(stdout);
      return 0;
   }
   if (replaceFile(name, out, len) != 0)
      kitEscape("CLN0104", name);
   return 0;
}
