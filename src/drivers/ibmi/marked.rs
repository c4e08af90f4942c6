//! Lines of a command whose output is read while it arrives: between the marks with which the command proves its own end
//! (`exec`), and never more of them in memory than one.

use std::borrow::Cow;

/// Longest line taken. A row with the longest message text and second-level text of the system, escaped, is shorter.
pub(super) const LONGEST: usize = 256 << 10;

/// A line of the command.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line<'l> {
    /// Without its line end; bytes that are no UTF-8 are replaced (`ibmi.md` § 1.6).
    Text(Cow<'l, str>),
    /// Longer than [`LONGEST`]: so many bytes, not kept.
    TooLong(usize),
}

/// Where the reading stands.
#[derive(Debug, PartialEq, Eq)]
enum Place {
    /// Login noise.
    Before,
    /// The command's own output.
    Inside,
    /// Behind the last mark.
    After(i32),
}

/// Cuts pieces into lines.
#[derive(Debug)]
pub(super) struct MarkedLines<'m> {
    mark: &'m str,
    place: Place,
    open: Vec<u8>,
    /// Bytes of the open line that were not kept.
    dropped: usize,
    /// Something stands behind the last mark.
    surplus: bool,
}

impl<'m> MarkedLines<'m> {
    pub(super) fn new(mark: &'m str) -> Self {
        Self {
            mark,
            place: Place::Before,
            open: Vec::new(),
            dropped: 0,
            surplus: false,
        }
    }

    /// Hands over the lines that end in this piece.
    pub(super) fn take(&mut self, piece: &[u8], each: &mut (dyn FnMut(Line<'_>) + Send)) {
        let mut rest = piece;
        while let Some(at) = rest.iter().position(|b| *b == b'\n') {
            self.keep(&rest[..at]);
            self.close(each);
            rest = &rest[at + 1..];
        }
        self.keep(rest);
    }

    fn keep(&mut self, bytes: &[u8]) {
        let room = LONGEST.saturating_sub(self.open.len());
        let kept = bytes.len().min(room);
        self.open.extend(&bytes[..kept]);
        self.dropped += bytes.len() - kept;
    }

    fn close(&mut self, each: &mut (dyn FnMut(Line<'_>) + Send)) {
        let dropped = std::mem::take(&mut self.dropped);
        match self.place {
            Place::Before if self.open == self.mark.as_bytes() => self.place = Place::Inside,
            Place::Before => {}
            Place::After(_) => self.surplus = true,
            Place::Inside if dropped > 0 => each(Line::TooLong(self.open.len() + dropped)),
            Place::Inside => match self.status() {
                Some(status) => self.place = Place::After(status),
                None => each(Line::Text(String::from_utf8_lossy(&self.open))),
            },
        }
        self.open.clear();
    }

    /// The exit status, when the open line is the last mark.
    fn status(&self) -> Option<i32> {
        let rest = self.open.strip_prefix(self.mark.as_bytes())?;
        let rest = std::str::from_utf8(rest).ok()?;
        rest.strip_prefix(' ')?.parse().ok()
    }

    /// The command's own exit status.
    ///
    /// # Errors
    /// Which mark is missing: then its end is not proved.
    pub(super) fn end(self) -> Result<i32, &'static str> {
        match self.place {
            Place::Before => {
                Err("the command's beginning was not confirmed (no mark on standard output)")
            }
            Place::Inside => Err("the command's end was not confirmed (no mark)"),
            Place::After(_) if self.surplus || !self.open.is_empty() => {
                Err("something stands behind the command's end mark")
            }
            Place::After(status) => Ok(status),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &[u8], size: usize) -> (Vec<String>, Result<i32, &'static str>) {
        let mut lines = MarkedLines::new("M1");
        let mut found = Vec::new();
        for piece in text.chunks(size) {
            lines.take(piece, &mut |line| {
                found.push(match line {
                    Line::Text(text) => text.into_owned(),
                    Line::TooLong(bytes) => format!("too long: {bytes}"),
                });
            });
        }
        (found, lines.end())
    }

    #[test]
    fn lines_are_those_between_the_marks_however_the_pieces_fall() {
        let text = b"Welcome\nM1\none\n\xC4two\n\nM1 0\n";
        for size in 1..text.len() {
            let (found, end) = read(text, size);
            assert_eq!(found, ["one", "\u{FFFD}two", ""], "{size}");
            assert_eq!(end, Ok(0));
        }
    }

    #[test]
    fn an_end_that_was_cut_is_no_end() {
        let text = b"M1\none\n\nM1 3\n";
        assert_eq!(read(text, 4).1, Ok(3));
        for cut in 0..text.len() {
            assert!(read(&text[..cut], 4).1.is_err(), "{cut}");
        }
        assert!(read(b"M1\n\nM1 0\nmore\n", 4).1.is_err());
    }

    #[test]
    fn a_line_that_is_too_long_is_counted_and_not_kept() {
        let text = [
            b"M1\n".to_vec(),
            vec![b'x'; 3 * LONGEST],
            b"\nb\n\nM1 0\n".to_vec(),
        ]
        .concat();
        let (found, end) = read(&text, 1000);
        assert_eq!(
            found,
            [
                format!("too long: {}", 3 * LONGEST),
                "b".into(),
                String::new()
            ]
        );
        assert_eq!(end, Ok(0));
    }
}
