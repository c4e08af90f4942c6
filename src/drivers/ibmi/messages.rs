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

/// Reads a printed job log: a line with id, type, severity, date and time begins a message; the first labelled line
/// below it is the first-level text, the second one the second-level text, others continue them.
pub fn parse_job_log(lines: &[String], job: &str) -> Vec<Message> {
    let mut messages: Vec<Message> = Vec::new();
    let mut labels = 0;
    for line in lines {
        if let Some(message) = begins_message(line, job) {
            messages.push(message);
            labels = 0;
            continue;
        }
        let Some(last) = messages.last_mut() else {
            continue;
        };
        if !line.starts_with("          ") {
            // A page heading.
            continue;
        }
        let text = line.trim();
        if let Some((label, value)) = text.split_once(":   ")
            && label.trim_end().ends_with('.')
        {
            labels += 1;
            match labels {
                1 => last.text = value.trim().to_owned(),
                _ => join(&mut last.second_level, text),
            }
        } else if labels <= 1 {
            join(&mut last.text, text);
        } else {
            join(&mut last.second_level, text);
        }
    }
    for m in &mut messages {
        if m.severity < 30 {
            m.second_level.clear();
        }
    }
    messages
}

fn join(text: &mut String, more: &str) {
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
        let lines: Vec<String> = [
            " 5770SS1 V7R5M0 220415          Jobprotokoll            PROD   18.07.26  12:00:00    Seite    1",
            " CPF1124    Information             00   18.07.26  12:00:00.123456  QWTPIIPP     QSYS        0636",
            "                                      Nachricht . . . :   Job 123456/U/RUN1 gestartet",
            "                                        am 18.07.26.",
            " CEE9901    Escape                  40   18.07.26  12:00:01.000000  QLEAWI       QSYS        *STMT",
            "                                      Nachricht . . . :   Fehler.",
            "                                      Ursache . . . . :   Das Programm",
            "                                        ist zu Ende.",
        ]
        .map(str::to_owned)
        .to_vec();
        let found = parse_job_log(&lines, "123456/U/RUN1");
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].text, "Job 123456/U/RUN1 gestartet am 18.07.26.");
        assert_eq!((found[1].severity, found[1].kind.as_str()), (40, "ESCAPE"));
        assert_eq!(
            found[1].second_level,
            "Ursache . . . . :   Das Programm ist zu Ende."
        );
    }
}
