//! How three parts become a text.

use session::token::access::MAX_LEN;

use super::Cause::BadSignature;
use super::Expected::{Accepted, NotOurs, Refused, TryRefresh};
use super::Family;
use super::draft::{Draft, Key, base64url, quoted};

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// A token's three parts.
pub(super) fn parts(token: &str) -> [&str; 3] {
    let mut parts = token.split('.');
    std::array::from_fn(|_| parts.next().unwrap())
}

/// Three parts with a dot between them (RFC 7515 §7.1).
pub(super) fn segments(family: &mut Family) {
    for key in Key::BOTH {
        let token = Draft::honest(key).sign();
        let [header, payload, signature] = parts(&token);
        let json = format!(
            r#"{{"protected":"{header}","payload":"{payload}","signature":"{signature}"}}"#
        );
        let general = format!(
            r#"{{"payload":"{payload}","signatures":[{{"protected":"{header}","signature":"{signature}"}}]}}"#
        );
        for (name, text) in [
            ("nothing", String::new()),
            ("one dot", ".".to_owned()),
            ("two dots", "..".to_owned()),
            ("three dots", "...".to_owned()),
            ("four dots", "....".to_owned()),
            ("header", header.to_owned()),
            ("header and payload", format!("{header}.{payload}")),
            ("four, a copy of the signature", format!("{token}.{signature}")),
            ("four, the last empty", format!("{token}.")),
            ("four, the first empty", format!(".{token}")),
            ("four, an empty one inside", format!("{header}..{payload}.{signature}")),
            ("four, the payload twice", format!("{header}.{payload}.{payload}.{signature}")),
            ("five, as a JWE has", format!("{header}.{payload}.{payload}.{payload}.{signature}")),
            ("five, direct encryption", format!("{header}..{payload}.{payload}.{signature}")),
            ("six, two tokens", format!("{token}.{token}")),
            ("no header", format!(".{payload}.{signature}")),
            ("no payload", format!("{header}..{signature}")),
            ("header only, dots kept", format!("{header}..")),
            ("payload before header", format!("{payload}.{header}.{signature}")),
            ("signature before payload", format!("{header}.{signature}.{payload}")),
            ("backwards", format!("{signature}.{payload}.{header}")),
            ("commas", token.replace('.', ",")),
            ("escaped dots", token.replace('.', "%2E")),
            ("full-width dots", token.replace('.', "\u{ff0e}")),
            ("two tokens with a comma", format!("{token},{token}")),
            ("two tokens with a space", format!("{token} {token}")),
            ("JSON serialisation, flattened", json),
            ("JSON serialisation, general", general),
            ("in quotes", format!("\"{token}\"")),
            ("with its scheme", format!("Bearer {token}")),
            ("in base64url", base64url(token.as_bytes())),
        ] {
            family.add(format!("{key:?}: {name}"), text, NotOurs);
        }
        // With a dot for an ending, the token has an empty signature.
        let unsigned = format!("{header}.{payload}.");
        family.add(format!("{key:?}: no signature"), unsigned, TryRefresh(BadSignature));
    }
}

/// What a part that is no base64url makes of the token: without header or payload there is no token.
const BY_PART: [super::Expected; 3] = [NotOurs, NotOurs, TryRefresh(BadSignature)];

/// No padding and no white space (RFC 7515 §2).
pub(super) fn padding(family: &mut Family) {
    const ADDED: [(&str, &str); 22] = [
        ("one equals sign", "="),
        ("two equals signs", "=="),
        ("three equals signs", "==="),
        ("four equals signs", "===="),
        ("escaped equals sign", "%3D"),
        ("space", " "),
        ("tab", "\t"),
        ("line feed", "\n"),
        ("carriage return, line feed", "\r\n"),
        ("NUL", "\0"),
        ("vertical tab", "\u{b}"),
        ("no-break space", "\u{a0}"),
        ("zero-width space", "\u{200b}"),
        ("byte order mark", "\u{feff}"),
        ("quote", "\""),
        ("backslash", "\\"),
        ("percent", "%"),
        ("comma", ","),
        ("tilde", "~"),
        ("exclamation mark", "!"),
        ("replacement character", "\u{fffd}"),
        ("full-width A", "\u{ff21}"),
    ];
    for key in Key::BOTH {
        let token = Draft::honest(key).sign();
        for (index, (part_name, expected)) in
            ["header", "payload", "signature"].into_iter().zip(BY_PART).enumerate()
        {
            for (name, added) in ADDED {
                let part = parts(&token)[index];
                let middle = part.len() / 2;
                for (place, changed) in [
                    ("before", format!("{added}{part}")),
                    ("inside", format!("{}{added}{}", &part[..middle], &part[middle..])),
                    ("after", format!("{part}{added}")),
                ] {
                    let mut changed_parts = parts(&token);
                    changed_parts[index] = &changed;
                    let name = format!("{key:?}: {name} {place} the {part_name}");
                    family.add(name, changed_parts.join("."), expected);
                }
            }
        }
    }
}

/// The URL-safe alphabet and no other (RFC 4648 §5).
pub(super) fn alphabet(family: &mut Family) {
    for key in Key::BOTH {
        let token = with_both_signs_in_every_part(key);
        for (sign, standard) in [('-', '+'), ('_', '/')] {
            for (index, (part_name, expected)) in
                ["header", "payload", "signature"].into_iter().zip(BY_PART).enumerate()
            {
                for (count_name, count) in [("one", 1), ("every", usize::MAX)] {
                    let changed = parts(&token)[index].replacen(sign, &standard.to_string(), count);
                    let mut changed_parts = parts(&token);
                    changed_parts[index] = &changed;
                    let name = format!("{key:?}: {count_name} {sign} as {standard} in {part_name}");
                    family.add(name, changed_parts.join("."), expected);
                }
            }
        }
        family.add(format!("{key:?}: both signs"), token, Accepted("the URL-safe alphabet"));
    }
}

/// An honest token whose parts each hold `-` and `_`.
fn with_both_signs_in_every_part(key: Key) -> String {
    let drafts = (0..).map(|number| {
        Draft::honest(key)
            .header("x", r#""~~~???>>>""#)
            .claim("x", &format!("\"~~~???>>>{number}\""))
    });
    let mut tokens = drafts.map(|draft| draft.sign());
    tokens
        .find(|token| parts(token).iter().all(|part| part.contains('-') && part.contains('_')))
        .unwrap()
}

/// The unused bits of a part's last character are zero (RFC 4648 §3.5): a token has one spelling.
pub(super) fn last_characters(family: &mut Family) {
    for key in Key::BOTH {
        for (index, (part_name, expected)) in
            ["header", "payload", "signature"].into_iter().zip(BY_PART).enumerate()
        {
            // Signatures have 64 or 256 bytes: four bits are left over. Header and payload are filled up.
            for unused_bits in if index == 2 { vec![4] } else { vec![2, 4] } {
                let token = (0..3)
                    .map(|fill| {
                        let fill = quoted(&"x".repeat(fill));
                        Draft::honest(key).header("x", &fill).claim("x", &fill).sign()
                    })
                    .find(|token| parts(token)[index].len() % 4 == 4 - unused_bits / 2)
                    .unwrap();
                let part = parts(&token)[index];
                let (rest, last) = part.split_at(part.len() - 1);
                let value = ALPHABET.iter().position(|c| [*c] == last.as_bytes()).unwrap();
                for bits in 1..1 << unused_bits {
                    let changed = format!("{rest}{}", char::from(ALPHABET[value | bits]));
                    let mut changed_parts = parts(&token);
                    changed_parts[index] = &changed;
                    let name = format!("{key:?}: {part_name}, {unused_bits} bits as {bits}");
                    family.add(name, changed_parts.join("."), expected);
                }
            }
        }
    }
}

/// Another character in one place, all along the token.
pub(super) fn changed_characters(family: &mut Family) {
    const STEP: usize = 4;
    for key in Key::BOTH {
        let token = Draft::honest(key).sign();
        for at in (0..token.len()).step_by(STEP) {
            let old = token.as_bytes()[at];
            let new = match ALPHABET.iter().position(|c| *c == old) {
                Some(value) => ALPHABET[(value + 1 + at) % 64],
                None => b'A',
            };
            // The walk through the alphabet may come back to where it began.
            let new = if new == old { ALPHABET[usize::from(old == ALPHABET[0])] } else { new };
            let mut changed = token.clone().into_bytes();
            changed[at] = new;
            let changed = String::from_utf8(changed).unwrap();
            family.add(format!("{key:?}: character {at}"), changed, Refused);
        }
    }
}

/// Nothing above the limit is even looked at.
pub(super) fn lengths(family: &mut Family) {
    const WITHIN: &str = "within the limit; our key signed it";
    for key in Key::BOTH {
        let of_length = |len: usize| {
            let filled = |in_header: usize, in_payload: usize| {
                let draft = Draft::honest(key).header("x", &quoted(&"x".repeat(in_header)));
                draft.claim("x", &quoted(&"x".repeat(in_payload)))
            };
            let signature_len = parts(&filled(0, 0).sign())[2].len();
            // Three characters become four, so that some lengths need a fill of the header too.
            let fill = (len - signature_len - 1 - filled(0, 0).message().len()) * 3 / 4;
            let mut drafts = (0..3).flat_map(|in_header| {
                (fill - 8..=fill).map(move |in_payload| filled(in_header, in_payload))
            });
            let fits = |draft: &Draft| draft.message().len() + 1 + signature_len == len;
            drafts.find(fits).unwrap().sign()
        };
        for len in [MAX_LEN - 1, MAX_LEN] {
            family.add(format!("{key:?}: {len} bytes"), of_length(len), Accepted(WITHIN));
        }
        for len in [MAX_LEN + 1, MAX_LEN + 2, 10_240, 65_536] {
            family.add(format!("{key:?}: {len} bytes"), of_length(len), NotOurs);
        }
        let honest = Draft::honest(key).sign();
        let room = MAX_LEN - honest.len();
        let long_signature = |added: usize| format!("{honest}{}", "A".repeat(added));
        let expected = TryRefresh(BadSignature);
        family.add(format!("{key:?}: signature up to the limit"), long_signature(room), expected);
        family.add(format!("{key:?}: signature over the limit"), long_signature(room + 1), NotOurs);
    }
    for (name, text) in [
        ("the letter a", "a"),
        ("dots", "."),
        ("opening brackets", "W1tb"),
        ("spaces", " "),
        ("NUL", "\0"),
        ("smiling faces", "\u{1f600}"),
    ] {
        for len in [MAX_LEN, MAX_LEN + 1, 100_000] {
            let text: String = text.chars().cycle().take(len).collect();
            family.add(format!("{len} characters: {name}"), text, NotOurs);
        }
    }
}
