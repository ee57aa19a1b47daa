//! Prints the verdict on every hostile token, as a table. `--summary` writes the summary of it that the
//! repository keeps; `--lines` prints the tokens themselves, as JSON lines, for other libraries to judge.
//! `--proof-summary` and `--proof-lines` do the same for DPoP proofs.

use std::io::Write as _;

fn main() -> std::io::Result<()> {
    let output = match std::env::args().nth(1).as_deref() {
        Some("--summary") => return std::fs::write(hostile::SUMMARY, hostile::summary()),
        Some("--lines") => hostile::lines(),
        Some("--proof-summary") => {
            return std::fs::write(hostile::proofs::SUMMARY, hostile::proofs::summary());
        }
        Some("--proof-lines") => hostile::proofs::lines(),
        _ => hostile::table(),
    };
    std::io::stdout().write_all(output.as_bytes())
}
