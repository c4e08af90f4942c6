//! Messages as PASE `system` writes them, and job logs as `QPJOBLOG` prints them. Matching is by position and message
//! id: texts are in the system's language (`ibmi.md` § 1.6).

use crate::site::Message;

fn is_message_id(text: &str) -> bool {
    text.len() == 7
        && text.is_char_boundary(3)
        && text.starts_with(|c: char| c.is_ascii_uppercase())
        && text[..3]
            .bytes()
            .all(|b| b.is_ascii_uppercase() || b.is_ascii_digit())
        && text[3..]
            .bytes()
            .all(|b| b.is_ascii_hexdigit() && !b.is_ascii_lowercase())
}

/// Splits output into messages (`MSGID: text`, with the lines that continue them) and everything else.
pub fn parse_messages(text: &str) -> (Vec<Message>, String) {
    let mut messages: Vec<Message> = Vec::new();
    let mut rest = String::new();
    for line in text.lines() {
        match line.split_once(": ") {
            Some((id, text)) if is_message_id(id) => messages.push(Message {
                id: id.to_owned(),
                severity: 0,
                kind: String::new(),
                subtype: String::new(),
                timestamp: String::new(),
                text: text.trim_end().to_owned(),
                second_level: String::new(),
                job: String::new(),
            }),
            _ => {
                rest.push_str(line);
                rest.push('\n');
            }
        }
    }
    (messages, rest)
}

/// Reads a printed job log line by line: a line with id, type, severity, date and time begins a message; the first
/// labelled line below it is the first-level text, the second one the second-level text, others continue them.
pub(super) struct JobLogReader {
    job: String,
    open: Option<Message>,
    labels: usize,
}

/// Longest text that lines are joined to; the lines beyond it are left out, and that is said once.
const LONGEST_TEXT: usize = 64 << 10;
const CUT: &str = " … (the rest is left out)";

impl JobLogReader {
    /// Of this job.
    pub(super) fn new(job: &str) -> Self {
        Self {
            job: job.to_owned(),
            open: None,
            labels: 0,
        }
    }

    /// The message that is over with this line, if one is.
    pub(super) fn line(&mut self, line: &str) -> Option<Message> {
        if let Some(message) = begins_message(line, &self.job) {
            self.labels = 0;
            return self.open.replace(message);
        }
        // A page heading does not stand that far to the right.
        let last = self
            .open
            .as_mut()
            .filter(|_| line.starts_with("          "))?;
        let text = line.trim();
        let labelled = text.split_once(":   ");
        if let Some((_, value)) = labelled.filter(|(label, _)| label.trim_end().ends_with('.')) {
            self.labels += 1;
            if self.labels == 1 {
                last.text = value.trim().to_owned();
                return None;
            }
        }
        if self.labels <= 1 {
            join(&mut last.text, text);
        } else if last.severity >= 30 {
            join(&mut last.second_level, text);
        }
        None
    }

    /// The last message.
    pub(super) fn end(self) -> Option<Message> {
        self.open
    }
}

fn join(text: &mut String, more: &str) {
    if text.len() + more.len() > LONGEST_TEXT {
        if !text.ends_with(CUT) {
            text.push_str(CUT);
        }
        return;
    }
    if !text.is_empty() {
        text.push(' ');
    }
    text.push_str(more);
}

fn begins_message(line: &str, job: &str) -> Option<Message> {
    let mut words = line.split_whitespace();
    let id = words.next()?;
    if id != "*NONE" && !is_message_id(id) {
        return None;
    }
    // The type may be more than one word in some languages; severity, date and time follow it.
    let all: Vec<&str> = words.collect();
    let at = all.windows(3).position(|w| {
        w[0].len() == 2
            && w[0].bytes().all(|b| b.is_ascii_digit())
            && w[1].matches(|c: char| !c.is_ascii_alphanumeric()).count() == 2
            && w[2].matches(':').count() == 2
    })?;
    let kind = all[..at].join(" ").to_uppercase();
    let kind = match kind.as_str() {
        "INFORMATION" => "INFORMATIONAL".to_owned(),
        _ => kind,
    };
    Some(Message {
        id: if id == "*NONE" {
            String::new()
        } else {
            id.to_owned()
        },
        severity: all[at].parse().ok()?,
        kind,
        subtype: String::new(),
        timestamp: format!("{} {}", all[at + 1], all[at + 2]),
        text: String::new(),
        second_level: String::new(),
        job: job.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_found_by_their_id_only() {
        let (found, rest) = parse_messages(
            "CPC2102: Library TESTLIB created\nNote: not a message\nCPFA0A9: Objekt fehlt\nline\n",
        );
        let ids: Vec<&str> = found.iter().map(|m| m.id.as_str()).collect();
        assert_eq!(ids, ["CPC2102", "CPFA0A9"]);
        assert_eq!(rest, "Note: not a message\nline\n");
    }

    #[test]
    fn a_printed_job_log_is_read_whatever_its_language() {
        let lines = [
            " 5770SS1 V7R5M0 220415          Jobprotokoll            PROD   18.07.26  12:00:00    Seite    1",
            " CPF1124    Information             00   18.07.26  12:00:00.123456  QWTPIIPP     QSYS        0636",
            "                                      Nachricht . . . :   Job 123456/U/RUN1 gestartet",
            "                                        am 18.07.26.",
            " CEE9901    Escape                  40   18.07.26  12:00:01.000000  QLEAWI       QSYS        *STMT",
            "                                      Nachricht . . . :   Fehler.",
            "                                      Ursache . . . . :   Das Programm",
            "                                        ist zu Ende.",
        ];
        let mut reader = JobLogReader::new("123456/U/RUN1");
        let mut found: Vec<Message> = lines.iter().filter_map(|l| reader.line(l)).collect();
        found.extend(reader.end());
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].text, "Job 123456/U/RUN1 gestartet am 18.07.26.");
        assert_eq!((found[1].severity, found[1].kind.as_str()), (40, "ESCAPE"));
        assert_eq!(
            found[1].second_level,
            "Ursache . . . . :   Das Programm ist zu Ende."
        );
    }

    #[test]
    fn a_text_that_goes_on_for_ever_is_cut_and_says_so() {
        let mut reader = JobLogReader::new("123456/U/RUN1");
        let begin =
            " CPF1124    Information             00   18.07.26  12:00:00.123456  QWTPIIPP     QSYS";
        assert_eq!(reader.line(begin), None);
        for _ in 0..10_000 {
            let line = format!("{}and more, and more", " ".repeat(38));
            assert_eq!(reader.line(&line), None);
        }
        let text = reader.end().unwrap().text;
        assert!(text.ends_with(CUT) && text.len() <= LONGEST_TEXT + CUT.len());
        assert_eq!(text.matches(CUT).count(), 1);
    }
}
