//! JSON as the real server's parser, which is Go's, speaks of it: why a text is none, and what a value cannot become. People
//! search for these words.

use serde_json::Value;

/// What Go calls the type of a value.
pub fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// What Go says about a value of another type than `into`, which is Go's name of it.
pub fn cannot_become(value: &Value, into: &str) -> String {
    format!(
        "json: cannot unmarshal {} into Go value of type {into}",
        type_name(value)
    )
}

/// Why a text is no JSON; none = it is, as far as its form goes.
pub fn complaint(text: &[u8]) -> Option<String> {
    let mut scanner = Scanner {
        step: Step::Value,
        open: Vec::new(),
    };
    for byte in text {
        if let Err(context) = scanner.read(*byte) {
            return Some(invalid(*byte, &context));
        }
    }
    if scanner.step == Step::End {
        return None;
    }
    // Go reads a space at the end: only a number is complete then.
    match scanner.read(b' ') {
        Err(context) => Some(invalid(b' ', &context)),
        Ok(()) if scanner.step == Step::End => None,
        Ok(()) => Some("unexpected end of JSON input".to_owned()),
    }
}

fn invalid(byte: u8, context: &str) -> String {
    format!("invalid character {} {context}", quoted(byte))
}

/// A byte as Go prints it: as the character of that number, whatever it was a part of.
fn quoted(byte: u8) -> String {
    match byte {
        b'\'' => r"'\''".to_owned(),
        b'\\' => r"'\\'".to_owned(),
        0x07 => r"'\a'".to_owned(),
        0x08 => r"'\b'".to_owned(),
        b'\t' => r"'\t'".to_owned(),
        b'\n' => r"'\n'".to_owned(),
        0x0b => r"'\v'".to_owned(),
        0x0c => r"'\f'".to_owned(),
        b'\r' => r"'\r'".to_owned(),
        0x00..0x20 | 0x7f => format!("'\\x{byte:02x}'"),
        0x80..=0xa0 | 0xad => format!("'\\u{byte:04x}'"),
        printed => format!("'{}'", char::from(printed)),
    }
}

/// What is read next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Value,
    /// After `[`.
    ValueOrEnd,
    Key,
    /// After `{`.
    KeyOrEnd,
    /// After a value; in a key, after the key.
    After,
    Text,
    Escape,
    /// So many digits of four were read.
    Hex(u8),
    /// So many letters of the word were read.
    Word(&'static str, usize),
    Minus,
    Zero,
    Digits,
    Dot,
    Fraction,
    Exponent,
    ExponentSign,
    ExponentDigits,
    /// The value is complete: white space alone may follow.
    End,
}

/// What is open around the place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Open {
    Key,
    Field,
    Element,
}

struct Scanner {
    step: Step,
    open: Vec<Open>,
}

const BEGIN: &str = "looking for beginning of value";

impl Scanner {
    /// Takes a byte. An error says where it was that it does not fit.
    fn read(&mut self, byte: u8) -> Result<(), String> {
        let refused = |context: &str| Err(context.to_owned());
        match (self.step, byte) {
            (
                Step::Value | Step::ValueOrEnd | Step::Key | Step::KeyOrEnd,
                b' ' | b'\t' | b'\r' | b'\n',
            ) => {}
            (Step::ValueOrEnd, b']') | (Step::KeyOrEnd, b'}') => self.close(),
            (Step::Value | Step::ValueOrEnd, _) => return self.begin(byte),
            (Step::Key | Step::KeyOrEnd, b'"') => self.step = Step::Text,
            (Step::Key | Step::KeyOrEnd, _) => {
                return refused("looking for beginning of object key string");
            }
            (Step::Text, b'"') => self.step = Step::After,
            (Step::Text, b'\\') => self.step = Step::Escape,
            (Step::Text, 0x20..) => {}
            (Step::Text, _) => return refused("in string literal"),
            (Step::Escape, b'u') => self.step = Step::Hex(0),
            (Step::Escape, b'b' | b'f' | b'n' | b'r' | b't' | b'\\' | b'/' | b'"') => {
                self.step = Step::Text;
            }
            (Step::Escape, _) => return refused("in string escape code"),
            (Step::Hex(3), b) if b.is_ascii_hexdigit() => self.step = Step::Text,
            (Step::Hex(read), b) if b.is_ascii_hexdigit() => self.step = Step::Hex(read + 1),
            (Step::Hex(_), _) => return refused("in \\u hexadecimal character escape"),
            (Step::Word(word, read), _) => return self.spell(word, read, byte),
            (
                Step::Minus
                | Step::Zero
                | Step::Digits
                | Step::Dot
                | Step::Fraction
                | Step::Exponent
                | Step::ExponentSign
                | Step::ExponentDigits,
                _,
            ) => return self.number(byte),
            (Step::After | Step::End, _) => return self.after(byte),
        }
        Ok(())
    }

    fn begin(&mut self, byte: u8) -> Result<(), String> {
        self.step = match byte {
            b'{' => {
                self.open.push(Open::Key);
                Step::KeyOrEnd
            }
            b'[' => {
                self.open.push(Open::Element);
                Step::ValueOrEnd
            }
            b'"' => Step::Text,
            b'-' => Step::Minus,
            b'0' => Step::Zero,
            b'1'..=b'9' => Step::Digits,
            b't' => Step::Word("true", 1),
            b'f' => Step::Word("false", 1),
            b'n' => Step::Word("null", 1),
            _ => return Err(BEGIN.to_owned()),
        };
        Ok(())
    }

    fn spell(&mut self, word: &'static str, read: usize, byte: u8) -> Result<(), String> {
        let expected = word.as_bytes().get(read).copied().unwrap_or_default();
        if byte != expected {
            let expected = char::from(expected);
            return Err(format!("in literal {word} (expecting '{expected}')"));
        }
        self.step = if read + 1 == word.len() {
            Step::After
        } else {
            Step::Word(word, read + 1)
        };
        Ok(())
    }

    fn number(&mut self, byte: u8) -> Result<(), String> {
        let digit = byte.is_ascii_digit();
        self.step = match (self.step, byte) {
            (Step::Minus, b'0') => Step::Zero,
            (Step::Minus, b'1'..=b'9') => Step::Digits,
            (Step::Minus, _) => return Err("in numeric literal".to_owned()),
            (Step::Digits, _) if digit => Step::Digits,
            (Step::Zero | Step::Digits, b'.') => Step::Dot,
            (Step::Dot | Step::Fraction, _) if digit => Step::Fraction,
            (Step::Dot, _) => return Err("after decimal point in numeric literal".to_owned()),
            (Step::Zero | Step::Digits | Step::Fraction, b'e' | b'E') => Step::Exponent,
            (Step::Exponent, b'+' | b'-') => Step::ExponentSign,
            (Step::Exponent | Step::ExponentSign | Step::ExponentDigits, _) if digit => {
                Step::ExponentDigits
            }
            (Step::Exponent | Step::ExponentSign, _) => {
                return Err("in exponent of numeric literal".to_owned());
            }
            (Step::Zero | Step::Digits | Step::Fraction | Step::ExponentDigits, _)
            | (Step::Value | Step::ValueOrEnd | Step::Key | Step::KeyOrEnd | Step::After, _)
            | (Step::Text | Step::Escape | Step::Hex(_) | Step::Word(..) | Step::End, _) => {
                return self.after(byte);
            }
        };
        Ok(())
    }

    /// After a value or a key.
    fn after(&mut self, byte: u8) -> Result<(), String> {
        let around = self.open.last().copied();
        if byte.is_ascii_whitespace() && byte != 0x0c {
            self.step = match around {
                None => Step::End,
                Some(_) => Step::After,
            };
            return Ok(());
        }
        match (around, byte) {
            (None, _) => return Err("after top-level value".to_owned()),
            (Some(Open::Key), b':') => self.next(Open::Field, Step::Value),
            (Some(Open::Key), _) => return Err("after object key".to_owned()),
            (Some(Open::Field), b',') => self.next(Open::Key, Step::Key),
            (Some(Open::Element), b',') => self.step = Step::Value,
            (Some(Open::Field), b'}') | (Some(Open::Element), b']') => self.close(),
            (Some(Open::Field), _) => return Err("after object key:value pair".to_owned()),
            (Some(Open::Element), _) => return Err("after array element".to_owned()),
        }
        Ok(())
    }

    fn next(&mut self, open: Open, step: Step) {
        if let Some(last) = self.open.last_mut() {
            *last = open;
        }
        self.step = step;
    }

    fn close(&mut self) {
        self.open.pop();
        self.step = if self.open.is_empty() {
            Step::End
        } else {
            Step::After
        };
    }
}

#[cfg(test)]
mod tests {
    use super::complaint;
    use proptest::prelude::*;
    use serde_json::Value;

    /// As a kube-apiserver 1.36.3 says it.
    #[test]
    fn broken_json_is_told_in_the_words_of_the_real_server() {
        for (text, words) in [
            ("", "unexpected end of JSON input"),
            ("  ", "unexpected end of JSON input"),
            ("{\"metadata\": ", "unexpected end of JSON input"),
            ("[1,2", "unexpected end of JSON input"),
            ("\"x", "unexpected end of JSON input"),
            (
                "rubbish",
                "invalid character 'r' looking for beginning of value",
            ),
            (
                "this is no JSON",
                "invalid character 'h' in literal true (expecting 'r')",
            ),
            (
                "nul",
                "invalid character ' ' in literal null (expecting 'l')",
            ),
            (
                "{\"a\":fals1}",
                "invalid character '1' in literal false (expecting 'e')",
            ),
            (
                "{\"a\":01}",
                "invalid character '1' after object key:value pair",
            ),
            ("{\"a\" 1}", "invalid character '1' after object key"),
            (
                "{\"a\":1,}",
                "invalid character '}' looking for beginning of object key string",
            ),
            (
                "{,}",
                "invalid character ',' looking for beginning of object key string",
            ),
            (
                "[1,]",
                "invalid character ']' looking for beginning of value",
            ),
            ("[1 2]", "invalid character '2' after array element"),
            ("{} x", "invalid character 'x' after top-level value"),
            (
                "{\"a\":\"b\nc\"}",
                "invalid character '\\n' in string literal",
            ),
            (
                "{\"a\":\"\\x\"}",
                "invalid character 'x' in string escape code",
            ),
            (
                "{\"a\":\"\\u12\"}",
                "invalid character '\"' in \\u hexadecimal character escape",
            ),
            ("{\"a\":-}", "invalid character '}' in numeric literal"),
            (
                "{\"a\":1.}",
                "invalid character '}' after decimal point in numeric literal",
            ),
            (
                "{\"a\":1e}",
                "invalid character '}' in exponent of numeric literal",
            ),
            (
                "{\"a\":.5}",
                "invalid character '.' looking for beginning of value",
            ),
            (
                "\u{1}",
                "invalid character '\\x01' looking for beginning of value",
            ),
            ("äx", "invalid character 'Ã' looking for beginning of value"),
        ] {
            assert_eq!(complaint(text.as_bytes()).as_deref(), Some(words), "{text}");
        }
    }

    proptest! {
        /// Nothing that one parser takes is refused by the other.
        #[test]
        fn what_can_be_read_is_not_complained_about(text in "[\\[\\]{}:,\"ab\\\\u0-2.eE+tfn -]{0,12}") {
            let read = serde_json::from_str::<Value>(&text);
            // A number that is too large is no matter of form.
            let form = read.as_ref().err().is_none_or(|e| e.to_string().contains("out of range"));
            // A half of a pair of surrogates is refused by one parser alone.
            prop_assume!(!read.as_ref().is_err_and(|e| e.to_string().contains("surrogate") || e.to_string().contains("hex escape")));
            prop_assert_eq!(complaint(text.as_bytes()).is_none(), form, "{}", text);
        }
    }
}
