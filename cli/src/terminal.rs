//! What people and machines get to see, and what people are asked.

use std::io::{self, BufRead, Write};

use anyhow::Context as _;
use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;
use serde::Serialize;
use session::model::Timestamp;

/// Where a command reads and writes.
pub struct Terminal<'a> {
    /// What was asked for.
    pub out: &'a mut dyn Write,
    /// Everything else: questions, progress, errors.
    pub err: &'a mut dyn Write,
    /// Answers, and tokens.
    pub input: &'a mut dyn BufRead,
    /// Whether somebody sits there who can be asked.
    pub is_interactive: bool,
}

/// Nobody said yes, so nothing was done.
#[derive(Debug)]
pub(crate) struct Unconfirmed;

impl std::fmt::Display for Unconfirmed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("not confirmed: nothing was done")
    }
}

impl std::error::Error for Unconfirmed {}

impl Terminal<'_> {
    /// A line for people.
    pub(crate) fn line(&mut self, text: &str) -> io::Result<()> {
        writeln!(self.out, "{text}")
    }

    /// A line beside what was asked for.
    pub(crate) fn note(&mut self, text: &str) -> io::Result<()> {
        writeln!(self.err, "{text}")
    }

    /// A document for machines.
    pub(crate) fn json(&mut self, document: &impl Serialize) -> anyhow::Result<()> {
        serde_json::to_writer_pretty(&mut self.out, document)?;
        Ok(writeln!(self.out)?)
    }

    /// Columns as wide as their widest cell.
    pub(crate) fn table(&mut self, head: &[&str], rows: &[Vec<String>]) -> io::Result<()> {
        let head: Vec<_> = head.iter().map(|cell| (*cell).to_owned()).collect();
        let rows: Vec<&Vec<String>> = std::iter::once(&head).chain(rows).collect();
        let width = |column: usize| {
            let cells = rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or_default()
        };
        let widths: Vec<usize> = (0..head.len()).map(width).collect();
        for row in rows {
            let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
            let line = cells.collect::<Vec<_>>().join("  ");
            self.line(line.trim_end())?;
        }
        Ok(())
    }

    /// Goes on only if somebody says so, on the command line or here.
    pub(crate) fn confirm(&mut self, question: &str, yes: bool) -> anyhow::Result<()> {
        if yes {
            return Ok(());
        }
        if !self.is_interactive {
            return Err(anyhow::Error::new(Unconfirmed))
                .context("there is no terminal to ask at; say --yes if you are sure");
        }
        write!(self.err, "{question} [y/N] ")?;
        self.err.flush()?;
        let mut answer = String::new();
        self.input.read_line(&mut answer)?;
        match answer.trim() {
            "y" | "Y" | "yes" => Ok(()),
            _ => Err(Unconfirmed.into()),
        }
    }
}

/// What clients sent, without what could steer a terminal.
pub(crate) fn printable(text: &str) -> String {
    let escape = |character: char| {
        if character.is_control() || is_invisible(character) {
            character.escape_unicode().to_string()
        } else {
            character.to_string()
        }
    };
    text.chars().map(escape).collect()
}

/// What turns the direction of text or takes no room, so that a text reads as another.
fn is_invisible(character: char) -> bool {
    matches!(character, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// An instant in UTC, to the second.
pub(crate) fn instant(at: Timestamp) -> String {
    let at = DateTime::from_secs(i64::try_from(at.as_secs()).unwrap_or(i64::MAX));
    at.fmt(Format::DateTime).unwrap_or_else(|_| "after the year 9999".to_owned())
}

/// How long ago, or in how long.
pub(crate) fn distance(at: Timestamp, now: Timestamp) -> String {
    let (since, until) = (at.until(now).as_secs(), now.until(at).as_secs());
    let seconds = since.max(until);
    let length = match seconds {
        0..120 => format!("{seconds} s"),
        120..7200 => format!("{} min", seconds / 60),
        7200..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} d", seconds / 86_400),
    };
    if until > 0 { format!("in {length}") } else { format!("{length} ago") }
}

/// `1 session`, `2 sessions`.
pub(crate) fn count(number: usize, what: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {what}{plural}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_clients_send_cannot_steer_the_terminal() {
        assert_eq!(printable("curl/8\u{1b}[2J\r\u{202e}x"), "curl/8\\u{1b}[2J\\u{d}\\u{202e}x");
        assert_eq!(printable("Mozilla/5.0 (Ünïcode)"), "Mozilla/5.0 (Ünïcode)");
    }

    #[test]
    fn instants_are_told_from_where_one_stands() {
        let now = Timestamp::from_secs(1_700_000_000);
        assert_eq!(instant(now), "2023-11-14T22:13:20Z");
        assert_eq!(distance(Timestamp::from_secs(1_699_999_900), now), "100 s ago");
        assert_eq!(distance(Timestamp::from_secs(1_700_010_800), now), "in 3 h");
    }
}
