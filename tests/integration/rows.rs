//! Every row of the contract (§10) has a test that bears its name.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// Rows of each group, in the order of the contract.
const GROUPS: [(&str, u32); 7] =
    [("c", 20), ("v", 58), ("r", 37), ("s", 11), ("m", 15), ("j", 10), ("f", 18)];

#[test]
fn every_row_of_the_contract_has_a_test() {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut named = BTreeSet::new();
    for folder in ["integration", "browser"] {
        for file in fs::read_dir(tests.join(folder)).unwrap() {
            let path = file.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "rs" || extension == "js") {
                let text = fs::read_to_string(path).unwrap();
                named.extend(text.lines().filter_map(row).map(str::to_owned));
            }
        }
    }
    let rows =
        GROUPS.iter().flat_map(|(group, last)| (1..=*last).map(move |n| format!("{group}{n}")));
    let missing: Vec<_> = rows.filter(|row| !named.contains(row)).collect();
    assert_eq!(missing, [""; 0]);
}

/// `c1` of a line that begins a test named `c1_…`, in Rust or JavaScript.
fn row(line: &str) -> Option<&str> {
    let line = line.trim_start();
    let line = line.strip_prefix("async ").unwrap_or(line);
    let name = line.strip_prefix("fn ").or_else(|| line.strip_prefix("test(\""))?;
    Some(name.split_once('_')?.0)
}
