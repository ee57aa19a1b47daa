//! The table of features says what is true: its files, names and tests exist.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// How many rows each series of the contract's test tables has (contract §10).
const SERIES: [(char, usize); 7] =
    [('c', 20), ('v', 58), ('r', 37), ('s', 11), ('m', 15), ('j', 10), ('f', 18)];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The text of every source file below those folders.
fn sources() -> String {
    let mut text = String::new();
    let mut open: Vec<_> =
        ["shared", "functions", "local", "examples", "tests"].map(|it| root().join(it)).into();
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            let is_source = path.extension().is_some_and(|it| it == "rs" || it == "js");
            if path.is_dir() && !["node_modules", "target", "dist"].contains(&name) {
                open.push(path);
            } else if is_source && name != "features.rs" {
                text += &fs::read_to_string(path).unwrap();
            }
        }
    }
    text
}

/// Names of all tests, in Rust and in the browser's suite.
fn tests() -> BTreeSet<String> {
    let sources = sources();
    let mut names = BTreeSet::new();
    let mut is_test = false;
    for line in sources.lines().map(str::trim_start) {
        let signature = line.trim_start_matches("async ").strip_prefix("fn ");
        if line.starts_with("#[test") || line.starts_with("#[tokio::test") {
            is_test = true;
        } else if let Some(name) = signature.and_then(|rest| rest.split('(').next()) {
            if is_test {
                names.insert(name.to_owned());
            }
            is_test = false;
        } else if let Some(name) = line.strip_prefix("test(\"").and_then(|it| it.split('"').next())
        {
            names.insert(name.to_owned());
        }
    }
    names
}

/// A row of the contract's tables is tested by what begins with its id.
fn is_tested(tests: &BTreeSet<String>, row: &str) -> bool {
    let prefix = format!("{}_", row.to_lowercase());
    tests.iter().any(|test| test.starts_with(&prefix))
}

/// Reference, ours, file and tests of each row; headings within the table are left out.
fn rows() -> Vec<[String; 4]> {
    let document = include_str!("../../docs/features.md");
    let rows = document.lines().filter(|line| line.starts_with("| ")).skip(1);
    let cells = rows.map(|row| {
        let cells = row.strip_prefix('|').and_then(|row| row.strip_suffix('|')).unwrap_or(row);
        cells.split('|').map(|cell| cell.trim().to_owned()).collect::<Vec<_>>()
    });
    let rows: Vec<_> = cells
        .map(|cells| <[String; 4]>::try_from(cells).expect("a row has four cells"))
        .filter(|[reference, ..]| !reference.starts_with("**"))
        .collect();
    assert!(rows.len() > 100, "the table was not found");
    rows
}

/// What is set as code within a cell.
fn quoted(cell: &str) -> impl Iterator<Item = &str> {
    cell.split('`').skip(1).step_by(2)
}

/// All that is wrong with the table, at once.
fn report(problems: impl Iterator<Item = String>) {
    let problems: Vec<_> = problems.collect();
    assert!(problems.is_empty(), "\n{}", problems.join("\n"));
}

#[test]
fn every_row_of_the_contract_has_a_test() {
    let tests = tests();
    let rows = SERIES
        .iter()
        .flat_map(|(series, count)| (1..=*count).map(move |number| format!("{series}{number}")));
    report(rows.filter(|row| !is_tested(&tests, row)));
}

#[test]
fn every_feature_has_a_test_or_says_why_not() {
    let offered = rows().into_iter().filter(|[_, ours, ..]| !ours.contains("**Not offered**"));
    report(offered.filter_map(|[reference, ours, file, tests]| {
        (ours.is_empty() || file.is_empty() || tests.is_empty()).then_some(reference)
    }));
}

#[test]
fn every_test_of_the_table_exists() {
    let tests = tests();
    let named = rows().into_iter().flat_map(|[reference, _, _, named]| {
        let named = named.split(", ").filter(|test| !test.is_empty()).map(str::to_owned);
        named.map(move |test| (reference.clone(), test)).collect::<Vec<_>>()
    });
    let missing = named.filter(|(_, test)| match test.strip_prefix('`') {
        Some(name) => !tests.contains(name.trim_end_matches('`')),
        None => !is_tested(&tests, test),
    });
    report(missing.map(|(reference, test)| format!("{reference}: {test}")));
}

#[test]
fn every_file_of_the_table_exists() {
    let named = rows().into_iter().flat_map(|[reference, _, files, _]| {
        quoted(&files).map(|file| (reference.clone(), file.to_owned())).collect::<Vec<_>>()
    });
    let missing = named.filter(|(_, file)| {
        !root().join("shared/session/src").join(file).exists() && !root().join(file).exists()
    });
    report(missing.map(|(reference, file)| format!("{reference}: {file}")));
}

#[test]
fn every_name_of_ours_in_the_table_exists() {
    let sources = sources();
    let named = rows().into_iter().flat_map(|[reference, ours, ..]| {
        quoted(&ours).map(|name| (reference.clone(), name.to_owned())).collect::<Vec<_>>()
    });
    let missing = named.filter(|(_, name)| {
        let last = name.rsplit("::").next().unwrap_or_default();
        let is_name = last.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        is_name && !sources.contains(last)
    });
    report(missing.map(|(reference, name)| format!("{reference}: {name}")));
}
