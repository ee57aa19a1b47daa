//! Writes the table of verdicts on the hostile tokens, or with `--lines` the tokens themselves, as JSON
//! lines on standard output, for other libraries to judge.

use std::io::Write as _;

use testkit::hostile;

fn main() -> std::io::Result<()> {
    if std::env::args().any(|argument| argument == "--lines") {
        let lines = hostile::lines();
        return std::io::stdout().write_all(lines.as_bytes());
    }
    std::fs::write(hostile::TABLE, hostile::table())
}
