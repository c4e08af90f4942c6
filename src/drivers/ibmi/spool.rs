//! A job log as it stands in the spooled file QPJOBLOG. Labels and type words are in the system's language; only the
//! shape of a message's first line is relied on: id, type, severity, date, time.

use super::command::is_message_id;
use crate::site::Message;

/// Messages of the lines of one QPJOBLOG.
pub(super) fn messages<'a>(lines: impl Iterator<Item = &'a str>, job: &str) -> Vec<Message> {
    let mut found: Vec<Message> = Vec::new();
    let mut labels = 0;
    for line in lines {
        if let Some(mut first) = first_line(line) {
            first.job = job.to_owned();
            found.push(first);
            labels = 0;
            continue;
        }
        let Some(current) = found.last_mut() else {
            continue;
        };
        // Text lines are indented below the columns of the first line; page headings are not.
        let indented = line.len() - line.trim_start().len() >= 20;
        if !indented {
            continue;
        }
        let text = line.trim();
        if let Some((_, value)) = labelled(text) {
            labels += 1;
            match labels {
                1 => current.text = value.to_owned(),
                _ => append(&mut current.second_level, text),
            }
        } else if labels <= 1 {
            append(&mut current.text, text);
        } else {
            append(&mut current.second_level, text);
        }
    }
    for m in &mut found {
        if m.severity < 30 {
            m.second_level.clear();
        }
    }
    found
}

fn append(to: &mut String, text: &str) {
    if !to.is_empty() {
        to.push(' ');
    }
    to.push_str(text);
}

/// `Message . . . . :   text`: label, dots, colon, value.
fn labelled(text: &str) -> Option<(&str, &str)> {
    let (label, value) = text.split_once(" :")?;
    label
        .trim_end()
        .ends_with(" .")
        .then_some((label, value.trim()))
}

fn first_line(line: &str) -> Option<Message> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let id = *words.first()?;
    if !is_message_id(id) && id != "*NONE" {
        return None;
    }
    // The type may be more than one word: what follows is found by its shape.
    let at = words.windows(3).position(|w| {
        w[0].len() == 2
            && w[0].bytes().all(|b| b.is_ascii_digit())
            && is_date(w[1])
            && is_time(w[2])
    })?;
    let kind = words.get(1..at)?.join(" ");
    let kind = match kind.as_str() {
        "Information" => "INFORMATIONAL".to_owned(),
        other => other.to_uppercase(),
    };
    Some(Message {
        id: if id == "*NONE" { "" } else { id }.to_owned(),
        severity: words.get(at)?.parse().ok()?,
        kind,
        subtype: String::new(),
        timestamp: format!("{} {}", words.get(at + 1)?, words.get(at + 2)?),
        text: String::new(),
        second_level: String::new(),
        job: String::new(),
    })
}

fn is_date(text: &str) -> bool {
    text.len() == 8 && text.bytes().filter(u8::is_ascii_digit).count() == 6
}

fn is_time(text: &str) -> bool {
    text.len() >= 8 && text.bytes().filter(u8::is_ascii_digit).count() >= 6
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_read_by_shape_and_in_any_language() {
        let text = r"
 5770SS1 V7R5M0 220415                     Job Log                           PROD      11/23/26 04:12:33    Page    1
  Job name . . . . . . . . . . :   SAVE21         User  . . . . . . :   FLASH        Number . . . . . . . . . . . :   123456
 MSGID      TYPE                    SEV  DATE      TIME             FROM PGM     LIBRARY     INST     TO PGM      LIBRARY     INST
 CPF1124    Information             00   11/23/26  04:12:33.000001  QWTPIIPP     QSYS        0689     *EXT                    *N
                                      Message . . . . :   Job 123456/FLASH/SAVE21 started.
 CPF3822    Abbruch                 40   11/23/26  04:13:00.000001  QMHUNMSG     *N          01CD     *EXT                    *N
                                      Nachricht . . . :   Ein langer Text, der
                                        weitergeht.
                                      Ursache . . . . :   Darum.
 *NONE      Request                      11/23/26  04:13:00.000001
";
        let found = messages(text.lines(), "123456/FLASH/SAVE21");
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].kind, "INFORMATIONAL");
        assert_eq!(found[0].text, "Job 123456/FLASH/SAVE21 started.");
        assert_eq!((found[1].id.as_str(), found[1].severity), ("CPF3822", 40));
        assert_eq!(found[1].text, "Ein langer Text, der weitergeht.");
        assert!(found[1].second_level.contains("Darum."));
    }
}
