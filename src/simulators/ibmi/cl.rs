//! The form of a CL command: name, keywords, values, CL's quotes.

use std::collections::BTreeMap;

/// A command taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// Upper case, library qualifier removed.
    pub name: String,
    /// Keyword → text between its parentheses.
    pub keywords: BTreeMap<String, String>,
}

impl Command {
    /// The values of a keyword; CL's quotes removed.
    pub fn values(&self, keyword: &str) -> Vec<String> {
        self.keywords
            .get(keyword)
            .map_or_else(Vec::new, |t| split(t))
    }
    /// The first value of a keyword, upper case unless it was quoted.
    pub fn word(&self, keyword: &str) -> Option<String> {
        self.values(keyword).into_iter().next()
    }
    /// The text of a keyword as it stands.
    pub fn text(&self, keyword: &str) -> Option<&str> {
        self.keywords.get(keyword).map(String::as_str)
    }
}

/// Takes a command apart.
///
/// # Errors
/// A text with what does not fit.
pub fn parse(text: &str) -> Result<Command, String> {
    let text = text.trim();
    let end = text.find(|c: char| c.is_whitespace()).unwrap_or(text.len());
    let name = text[..end].to_ascii_uppercase();
    let name = name.rsplit('/').next().unwrap_or_default().to_owned();
    if name.is_empty() {
        return Err("no command".to_owned());
    }
    let mut keywords = BTreeMap::new();
    let mut rest = text[end..].trim_start();
    while !rest.is_empty() {
        let open = rest
            .find('(')
            .ok_or_else(|| format!("parameter {rest} has no keyword"))?;
        let keyword = rest[..open].trim().to_ascii_uppercase();
        if keyword.is_empty() || !keyword.chars().all(|c| c.is_ascii_alphanumeric()) {
            return Err(format!("{keyword} is not a keyword"));
        }
        let close = matching(&rest[open..])
            .ok_or_else(|| format!("parenthesis of {keyword} is not closed"))?;
        let inner = &rest[open + 1..open + close];
        if keywords
            .insert(keyword.clone(), inner.trim().to_owned())
            .is_some()
        {
            return Err(format!("{keyword} is there twice"));
        }
        rest = rest[open + close + 1..].trim_start();
    }
    Ok(Command { name, keywords })
}

fn matching(text: &str) -> Option<usize> {
    let (mut depth, mut quoted) = (0, false);
    for (at, c) in text.char_indices() {
        match c {
            '\'' => quoted = !quoted,
            '(' if !quoted => depth += 1,
            ')' if !quoted => {
                depth -= 1;
                if depth == 0 {
                    return Some(at);
                }
            }
            _ => {}
        }
    }
    None
}

fn split(text: &str) -> Vec<String> {
    let mut values = Vec::new();
    let mut chars = text.chars().peekable();
    while let Some(&c) = chars.peek() {
        if c.is_whitespace() {
            chars.next();
            continue;
        }
        let mut value = String::new();
        if c == '\'' {
            chars.next();
            while let Some(c) = chars.next() {
                if c == '\'' {
                    if chars.peek() == Some(&'\'') {
                        chars.next();
                    } else {
                        break;
                    }
                }
                value.push(c);
            }
        } else {
            let mut depth = 0;
            while let Some(&c) = chars.peek() {
                if c.is_whitespace() && depth == 0 {
                    break;
                }
                match c {
                    '(' => depth += 1,
                    ')' => depth -= 1,
                    _ => {}
                }
                value.push(c.to_ascii_uppercase());
                chars.next();
            }
        }
        values.push(value);
    }
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_and_nested_commands_are_taken_apart() {
        let c =
            parse("SBMJOB CMD(CALL PGM(lib/pgm) PARM('it''s' 'b')) JOB(run1) MSGQ(*NONE)").unwrap();
        assert_eq!(c.name, "SBMJOB");
        assert_eq!(c.text("CMD"), Some("CALL PGM(lib/pgm) PARM('it''s' 'b')"));
        let inner = parse(c.text("CMD").unwrap()).unwrap();
        assert_eq!(inner.values("PARM"), ["it's", "b"]);
        assert_eq!(inner.word("PGM").as_deref(), Some("LIB/PGM"));
        assert!(parse("DSPLIB LIB(X").is_err());
        assert!(parse("DSPLIB QSYS").is_err());
    }
}
