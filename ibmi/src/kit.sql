-- kit.sql - the two tables of the guest kit.
-- Run once by INSTALL with RUNSQLSTM COMMIT(*NONE) NAMING(*SQL).

-- The canary's table: one record of 16 characters, changed and committed by
-- CANARY. INSTALL journals it (commitment control needs a journal). Nothing
-- else may ever open it for update: a lock would look like a suspension.
CREATE TABLE IBMICLONE.CLNCANARY (
  CANARY CHAR(16) NOT NULL DEFAULT ' '
) RCDFMT CLNCANARYR;

INSERT INTO IBMICLONE.CLNCANARY (CANARY) VALUES('never');

-- Scratch rows: a CL program cannot read an SQL service directly, so it
-- inserts what it wants to know here and receives the rows. Not journaled:
-- it is used on the clone and by CHECK, never under commitment control.
CREATE TABLE IBMICLONE.CLNLIST (
  LKEY   CHAR(45) NOT NULL DEFAULT ' ',
  LVAL1  CHAR(45) NOT NULL DEFAULT ' ',
  LVAL2  CHAR(45) NOT NULL DEFAULT ' ',
  LVAL3  CHAR(45) NOT NULL DEFAULT ' ',
  LCOUNT DECIMAL(9, 0) NOT NULL DEFAULT 0
) RCDFMT CLNLISTR;
