/*
 * CLNID - which partition is this, and since when has it been up?
 *
 *   CALL IBMICLONE/CLNID PARM(&SERIAL &PART &SCPF &CLOCK)
 *   &SERIAL CHAR(10)  system serial number, trimmed
 *   &PART   CHAR(10)  partition id, decimal
 *   &SCPF   CHAR(13)  entry time of 000000/QSYS/SCPF, CYYMMDDHHMMSS
 *   &CLOCK  CHAR(20)  now, YYYY-MM-DDTHH:MM:SSZ
 *
 * Serial number and partition id come from the hypervisor and differ on
 * the clone although every byte on disk is equal; nothing that is read from
 * disk (system name, addresses, data areas) can tell the two apart. So both
 * must be there: a missing value is escape CLN0105, never a guess.
 *
 * The partition id is not taken from SQL: this runs as the first thing of
 * an abnormal IPL, when the database may still be recovering. The API needs
 * *USE on QSYS/QPMLPMGT, which the owner has; the program adopts it.
 *
 * Built with CRTCMOD + CRTPGM BNDSRVPGM(QSYS/QPMLPMGT) USRPRF(*OWNER).
 */
#include "clnkit.h"
#include <qpmlpmgt.h>
#include <qwcrsval.h>
#include <qusrjobi.h>

/* Format 1 of dlpar_get_info: the partition's number is a BINARY(4) at
   offset 40. By offset, not by field name, because the name in the header
   has not been seen; see README. */
#define LPAR_FORMAT   1
#define LPAR_NUMBER   40
#define LPAR_LENGTH   48

/* JOBI0400: date and time the job entered the system. */
#define JOBI_ENTERED  62
#define JOBI_LENGTH   100

/* QWCRSVAL: count, one offset, then name(10) type(1) status(1) length(4). */
static int serialNumber(char out[11])
{
   char     receiver[128];
   char     name[10];
   KitError err;
   int      offset;
   int      length;

   kitErrorInit(&err);
   memcpy(name, "QSRLNBR   ", 10);
   QWCRSVAL(receiver, sizeof(receiver), 1, name, &err);
   if (err.ec.Bytes_Available != 0)
      return -1;
   memcpy(&offset, receiver + 4, 4);
   if (offset < 8 || offset > (int)sizeof(receiver) - 16
       || receiver[offset + 11] == 'L')              /* locked */
      return -1;
   memcpy(&length, receiver + offset + 12, 4);
   if (length < 1 || length > 10
       || offset + 16 + length > (int)sizeof(receiver))
      return -1;
   kitTrim(receiver + offset + 16, length, out);
   /* Field samples carry a leading blank. */
   while (out[0] == ' ')
      memmove(out, out + 1, strlen(out));
   return out[0] == 0;
}

static int partitionId(char out[11])
{
   char info[LPAR_LENGTH];
   int  number = 0;

   memset(info, 0, sizeof(info));
   /* Returns the number of bytes, or a negative error. */
   if (dlpar_get_info(info, LPAR_FORMAT, sizeof(info)) < LPAR_NUMBER + 4)
      return -1;
   memcpy(&number, info + LPAR_NUMBER, 4);
   /* Fields the hypervisor does not support are zero: no partition is 0. */
   if (number <= 0)
      return -1;
   sprintf(out, "%d", number);
   return 0;
}

static int scpfEntered(char out[14])
{
   char     info[JOBI_LENGTH];
   KitError err;

   kitErrorInit(&err);
   memset(info, ' ', sizeof(info));
   QUSRJOBI(info, sizeof(info), "JOBI0400", "SCPF      QSYS      000000",
            "                ", &err);
   if (err.ec.Bytes_Available != 0)
      return -1;
   memcpy(out, info + JOBI_ENTERED, 13);
   out[13] = 0;
   return out[0] == ' ';
}

int main(int argc, char *argv[])
{
   char serial[11];
   char part[11];
   char scpf[14];
   char clock[21];

   if (argc != 5)
      kitEscape("CLN0105", "PARAMETERS");
   if (serialNumber(serial) != 0)
      kitEscape("CLN0105", "QSRLNBR");
   if (partitionId(part) != 0)
      kitEscape("CLN0105", "PARTITION");
   if (scpfEntered(scpf) != 0)
      kitEscape("CLN0105", "SCPF");
   kitUtc(time(NULL), clock);

   kitPad(serial, argv[1], 10);
   kitPad(part,   argv[2], 10);
   kitPad(scpf,   argv[3], 13);
   kitPad(clock,  argv[4], 20);
   return 0;
}
