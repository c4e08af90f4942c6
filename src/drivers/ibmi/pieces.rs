//! Stream files of any size, and save files by their path in `/QSYS.LIB` (binary, `ibmi.md` § 4.2), piece by piece: what
//! is between two systems is never whole in memory.

use super::system::IbmIDriver;
use super::{exec, stream_files};
use crate::site::{DeviceError, Session};
use crate::wire;
use crate::wire::ibmi::shell_quote;
use tokio::sync::mpsc;

/// Pieces of output that wait to be taken, 64 KiB at most each.
const PIECES: usize = 8;
/// Most that login scripts may print before the mark.
const NOISE: usize = 256 << 10;
/// Longest end mark's status with what is around it: `\n` before, a blank, eleven digits and sign, `\n`.
const AROUND: usize = 16;

/// Takes the marks away from output that may hold any bytes, and holds back only as much as the last mark may be long.
struct Between<'m> {
    mark: &'m str,
    begun: bool,
    held: Vec<u8>,
}

impl<'m> Between<'m> {
    fn new(mark: &'m str) -> Self {
        Self {
            mark,
            begun: false,
            held: Vec::new(),
        }
    }

    /// What of the command's own output is certain by now.
    ///
    /// # Errors
    /// The mark of the beginning does not come.
    fn take(&mut self, piece: &[u8]) -> Result<Vec<u8>, &'static str> {
        self.held.extend(piece);
        if !self.begun {
            let begin = format!("{}\n", self.mark);
            let found = self
                .held
                .windows(begin.len())
                .position(|w| w == begin.as_bytes());
            match found {
                Some(at) => drop(self.held.drain(..at + begin.len())),
                None if self.held.len() > NOISE => {
                    return Err(
                        "the command's beginning was not confirmed (no mark on standard output)",
                    );
                }
                None => return Ok(Vec::new()),
            }
            self.begun = true;
        }
        let certain = self.held.len().saturating_sub(self.mark.len() + AROUND);
        Ok(self.held.drain(..certain).collect())
    }

    /// The rest of the output, and the command's exit status.
    ///
    /// # Errors
    /// Which mark is missing: then its end is not proved.
    fn end(self) -> Result<(Vec<u8>, i32), &'static str> {
        if !self.begun {
            return Err("the command's beginning was not confirmed (no mark on standard output)");
        }
        let mut whole = format!("{}\n", self.mark).into_bytes();
        whole.extend(&self.held);
        let (rest, status) = wire::ibmi::between(&whole, self.mark)?;
        Ok((rest.to_vec(), status))
    }
}

pub(super) async fn read(
    driver: &IbmIDriver,
    session: &Session,
    path: &str,
    pieces: mpsc::Sender<Vec<u8>>,
) -> Result<(), DeviceError> {
    stream_files::checked(driver, path)?;
    let connection = driver.connection(session.number).await?;
    let mark = exec::new_mark();
    let line = wire::ibmi::marked(&mark, &format!("cat {}", shell_quote(path)));
    let (chunks, mut arriving) = mpsc::channel::<Vec<u8>>(PIECES);
    let running = connection.stream(&line, driver.limits().command, chunks);
    let passing = async {
        let mut between = Between::new(&mark);
        while let Some(piece) = arriving.recv().await {
            let certain = between.take(&piece)?;
            if !certain.is_empty() && pieces.send(certain).await.is_err() {
                return Err("nobody takes the file any more");
            }
        }
        let (rest, status) = between.end()?;
        if !rest.is_empty() && pieces.send(rest).await.is_err() {
            return Err("nobody takes the file any more");
        }
        Ok(status)
    };
    // The receiver goes with the future that failed, so that the command is not waited for.
    let (ended, status) = tokio::join!(running, passing);
    let outcome = ended.and_then(|output| match status {
        Ok(status) if status == output.status => Ok((status, output.stderr)),
        Ok(status) => Err(DeviceError::indeterminate(
            driver.device(),
            format!(
                "exit status {} of the channel differs from {status} of the command",
                output.status
            ),
        )),
        Err(why) => Err(DeviceError::indeterminate(driver.device(), why)),
    });
    match outcome {
        Ok((0, _)) => Ok(()),
        Ok((_, stderr)) => Err(DeviceError::refused(
            driver.device(),
            "FileNotReadable",
            format!("{path}: {}", String::from_utf8_lossy(&stderr).trim()),
        )),
        Err(error) => {
            driver.drop_connection(session.number).await;
            Err(error)
        }
    }
}

pub(super) async fn write(
    driver: &IbmIDriver,
    session: &Session,
    path: &str,
    pieces: mpsc::Receiver<Vec<u8>>,
) -> Result<(), DeviceError> {
    stream_files::checked(driver, path)?;
    let connection = driver.connection(session.number).await?;
    let mark = exec::new_mark();
    let command = format!("umask 077; cat > {}", shell_quote(path));
    let line = wire::ibmi::marked(&mark, &command);
    let outcome = connection
        .feed(&line, driver.limits().command, pieces)
        .await
        .and_then(|output| {
            exec::unwrap(output, &mark)
                .map_err(|why| DeviceError::indeterminate(driver.device(), why))
        });
    match outcome {
        Ok(done) if done.status == 0 => Ok(()),
        Ok(done) => Err(DeviceError::refused(
            driver.device(),
            "FileRefused",
            format!("{path}: {}", String::from_utf8_lossy(&done.stderr).trim()),
        )),
        Err(error) => {
            driver.drop_connection(session.number).await;
            Err(error)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &[u8], size: usize) -> Result<(Vec<u8>, i32), &'static str> {
        let mut between = Between::new("CLNABCDEF");
        let mut found = Vec::new();
        for piece in text.chunks(size) {
            found.extend(between.take(piece)?);
        }
        let (rest, status) = between.end()?;
        found.extend(rest);
        Ok((found, status))
    }

    #[test]
    fn every_byte_of_a_file_survives_however_the_pieces_fall() {
        let file: Vec<u8> = (0..3000_u32).map(|n| (n % 256) as u8).collect();
        let mut text = b"Welcome\nCLNABCDEF\n".to_vec();
        text.extend(&file);
        text.extend(b"\nCLNABCDEF 0\n");
        for size in [1, 7, 64, 1000, text.len()] {
            assert_eq!(read(&text, size), Ok((file.clone(), 0)), "{size}");
        }
        for cut in 0..text.len() {
            assert!(read(&text[..cut], 64).is_err(), "cut at {cut}");
        }
    }

    #[test]
    fn only_the_last_mark_ends_a_file() {
        let text = b"CLNABCDEF\na\nCLNABCDEF 0\nb\nCLNABCDEF 3\n";
        assert_eq!(read(text, 5), Ok((b"a\nCLNABCDEF 0\nb".to_vec(), 3)));
    }
}
