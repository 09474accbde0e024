//! Server-sent events (HTML Living Standard §9.2), read line by line.

use std::fmt;
use std::io::{BufRead, BufReader, Read};

use super::ClientError;
use crate::{Event, EventKind};

/// Events as they come. Ends when the server closes the connection.
pub struct Events {
    lines: BufReader<Box<dyn Read + Send>>,
    address: String,
    last_id: Option<u64>,
    bytes_max: usize,
    ended: bool,
}

impl Events {
    pub(super) fn new(
        body: Box<dyn Read + Send>,
        address: String,
        last_id: Option<u64>,
        bytes_max: usize,
    ) -> Self {
        Self { lines: BufReader::new(body), address, last_id, bytes_max, ended: false }
    }

    /// The last event seen; give it to [`super::Client::events`] to go on after it.
    #[must_use]
    pub const fn last_id(&self) -> Option<u64> {
        self.last_id
    }

    /// The data of the next event; none at the end of the stream. An event that the end cuts off
    /// is dropped (§9.2.6).
    fn next_data(&mut self) -> Result<Option<String>, ClientError> {
        let mut data = String::new();
        let mut has_data = false;
        loop {
            let Some(line) = self.next_line()? else { return Ok(None) };
            if line.is_empty() {
                if has_data {
                    return Ok(Some(data));
                }
                continue;
            }
            // A line that begins with a colon is a comment; other fields than `data` repeat what
            // the data says.
            let Some(value) = line.strip_prefix("data:") else { continue };
            if has_data {
                data.push('\n');
            }
            has_data = true;
            data.push_str(value.strip_prefix(' ').unwrap_or(value));
            if data.len() > self.bytes_max {
                return Err(
                    self.not_understood(format!("an event of over {} bytes", self.bytes_max))
                );
            }
        }
    }

    fn next_line(&mut self) -> Result<Option<String>, ClientError> {
        let mut line = Vec::new();
        let limit = self.bytes_max as u64 + 64;
        let read = (&mut self.lines)
            .take(limit)
            .read_until(b'\n', &mut line)
            .map_err(|error| ClientError::from_io(self.address.clone(), &error))?;
        if read == 0 {
            return Ok(None);
        }
        if line.pop() != Some(b'\n') {
            if read as u64 == limit {
                return Err(self.not_understood(format!("a line of over {limit} bytes")));
            }
            return Ok(None);
        }
        if line.last() == Some(&b'\r') {
            line.pop();
        }
        String::from_utf8(line)
            .map(Some)
            .map_err(|_| self.not_understood("an event that is no UTF-8 text".to_owned()))
    }

    fn not_understood(&self, detail: String) -> ClientError {
        ClientError::NotUnderstood { address: self.address.clone(), detail }
    }
}

impl Iterator for Events {
    type Item = Result<Event, ClientError>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.ended {
            match self.next_data() {
                Ok(None) => self.ended = true,
                Err(error) => {
                    self.ended = true;
                    return Some(Err(error));
                }
                Ok(Some(data)) => match serde_json::from_str::<Event>(&data) {
                    Ok(event) => {
                        self.last_id = Some(event.id);
                        // A newer server may send types that this version does not know.
                        if event.kind != EventKind::Unknown {
                            return Some(Ok(event));
                        }
                    }
                    Err(error) => {
                        self.ended = true;
                        return Some(Err(self.not_understood(error.to_string())));
                    }
                },
            }
        }
        None
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Events")
            .field("address", &self.address)
            .field("last_id", &self.last_id)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (Vec<Result<u64, bool>>, Option<u64>) {
        let body = Box::new(std::io::Cursor::new(text.as_bytes().to_vec()));
        let mut events = Events::new(body, "http://h".to_owned(), None, 200);
        let mut seen = Vec::new();
        for event in &mut events {
            seen.push(
                event
                    .map(|event| event.id)
                    .map_err(|error| matches!(error, ClientError::NotUnderstood { .. })),
            );
        }
        (seen, events.last_id())
    }

    /// HTML Living Standard §9.2.6.
    #[test]
    fn streams_are_read_line_by_line() {
        let one = r#"{"id":7,"at":"2026-11-22T09:00:00.000Z","type":"missed","events":2}"#;
        let later = one.replace(":7", ":9");
        let unknown = one.replace("missed", "from_the_future");
        for (text, seen, last) in [
            (String::new(), vec![], None),
            (format!("id: 7\nevent: missed\ndata: {one}\n\n"), vec![Ok(7)], Some(7)),
            (format!(": hello\r\n\r\ndata:{one}\r\n\r\n"), vec![Ok(7)], Some(7)),
            (format!("data: {one}\n\n:\n\ndata: {later}\n\n"), vec![Ok(7), Ok(9)], Some(9)),
            (format!("data: {unknown}\n\n"), vec![], Some(7)),
            (format!("data: {one}\n"), vec![], None),
            (format!("data: {}\ndata: {}\n\n", &one[..8], &one[8..]), vec![Ok(7)], Some(7)),
            ("data: {\n\ndata: x\n\n".to_owned(), vec![Err(true)], None),
            (format!("data: {}\n\n", "x".repeat(400)), vec![Err(true)], None),
        ] {
            assert_eq!(read(&text), (seen, last), "{text:?}");
        }
    }
}
