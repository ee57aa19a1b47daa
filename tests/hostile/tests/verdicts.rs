//! Hostile tokens: every verdict follows the rule of its family, and the table says how many there are.
//!
//! `cargo run -p hostile --bin hostile-tokens -- --summary` writes the table, `verdicts.tsv`; read its
//! difference before you commit it. Without the flag the program prints the verdict on every token.

use std::collections::HashSet;
use std::fmt::Write as _;

use hostile::{Expected, Verdict};
use session::token::UnverifiedRefreshToken;
use testkit::keys;

#[test]
fn there_are_at_least_2000_tokens_each_with_a_name_of_its_own() {
    let tokens = hostile::all();
    let refused = tokens.iter().filter(|token| !matches!(token.expected, Expected::Accepted(_)));
    assert!(refused.count() >= 2000);
    let mut names = HashSet::new();
    for token in tokens {
        assert!(names.insert((token.family, &token.name)), "{}: {}", token.family, token.name);
    }
}

#[test]
fn every_verdict_follows_the_rule_of_its_family() {
    let keys = hostile::verifying_keys();
    let mut wrong = String::new();
    for token in hostile::all() {
        let verdict = token.verdict(&keys);
        if !verdict.is(token.expected) {
            let (family, name, expected) = (token.family, &token.name, token.expected);
            writeln!(wrong, "{family}: {name}: {verdict}, expected {expected:?}").unwrap();
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}

#[test]
fn the_verdicts_are_those_of_the_table() {
    let (found, table) = (hostile::summary(), std::fs::read_to_string(hostile::SUMMARY).unwrap());
    let (found_lines, table_lines): (HashSet<_>, HashSet<_>) =
        (found.lines().collect(), table.lines().collect());
    let gone = table.lines().filter(|line| !found_lines.contains(line));
    let new = found.lines().filter(|line| !table_lines.contains(line));
    let difference: Vec<_> =
        gone.map(|line| format!("- {line}")).chain(new.map(|line| format!("+ {line}"))).collect();
    assert!(
        found == table,
        "\n{}\nIf this is right, write the table: cargo run -p hostile --bin hostile-tokens -- --summary",
        difference.join("\n")
    );
}

#[test]
fn accepted_tokens_are_few_and_each_says_why() {
    let keys = hostile::verifying_keys();
    let tokens = hostile::all();
    let accepted = tokens.iter().filter(|token| token.verdict(&keys) == Verdict::Accepted);
    for token in accepted.clone() {
        assert!(matches!(token.expected, Expected::Accepted(why) if !why.is_empty()), "{token:?}");
    }
    assert!(accepted.count() * 5 < tokens.len());
}

#[test]
fn no_token_for_the_access_side_passes_as_a_refresh_token() {
    let master = keys::master();
    for token in hostile::all() {
        let refresh = UnverifiedRefreshToken::parse(&token.text);
        let claims = refresh.and_then(|refresh| refresh.verify(&master));
        let is_one = token.name.starts_with("other kind: refresh token");
        assert!(claims.is_none() || is_one, "{}: {}", token.family, token.name);
    }
}
