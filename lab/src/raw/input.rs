//! Lines of bounded length from a stream.

use std::io::{BufRead, Result};

/// Longest line read, in octets without its end.
pub(super) const MAX_LINE: usize = 1024 * 1024;

/// One line.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// Its octets without the line end.
    Complete(Vec<u8>),
    /// More than [`MAX_LINE`] octets; they were skipped.
    TooLong,
}

/// The lines of a stream; the last needs no line end.
#[derive(Debug)]
pub(super) struct Lines<R>(R);

impl<R: BufRead> Lines<R> {
    pub(super) const fn new(reader: R) -> Self {
        Self(reader)
    }

    /// The next line, `None` at the end of the stream.
    pub(super) fn next_line(&mut self) -> Result<Option<Line>> {
        let (mut line, mut length, mut any) = (Vec::new(), 0_usize, false);
        loop {
            let piece = self.0.fill_buf()?;
            if piece.is_empty() {
                break;
            }
            any = true;
            let end = piece.iter().position(|octet| *octet == b'\n');
            let content = piece.get(..end.unwrap_or(piece.len())).unwrap_or_default();
            length = length.saturating_add(content.len());
            if length <= MAX_LINE {
                line.extend_from_slice(content);
            }
            let used = content.len() + usize::from(end.is_some());
            self.0.consume(used);
            if end.is_some() {
                break;
            }
        }
        if line.last() == Some(&b'\r') {
            line.pop();
        }
        Ok(any.then_some(if length > MAX_LINE {
            Line::TooLong
        } else {
            Line::Complete(line)
        }))
    }

    /// Whether a complete line waits already.
    pub(super) fn has_more(&mut self) -> bool
    where
        R: Buffered,
    {
        self.0.buffered().contains(&b'\n')
    }
}

/// A reader that can show what it holds without reading.
pub(super) trait Buffered {
    /// The octets held.
    fn buffered(&self) -> &[u8];
}

impl<R> Buffered for std::io::BufReader<R> {
    fn buffered(&self) -> &[u8] {
        self.buffer()
    }
}
