//! One invocation of the authorizer: an event's bytes in, the answer's bytes out.

use ::authorizer::AuthorizerConfig;
use bootstrap::SystemClock;
use serde_json::Value;
use serde_json::value::RawValue;
use session::Sessions;

use crate::lab::{ISSUER, Lab, USER, built, event};
use crate::process::{Process, on_one_core};
use crate::report::{Section, micros, table};
use crate::rounds::{Contender, Spread, nanos, now, quantile, take_turns};
use crate::verify::Raw;
use crate::{node, plot};
use local::function::Program;

const EVENT: &str = include_str!("../../events/authorizer/ok.json");
const TIMES: u32 = 40;
const ROUNDS: usize = 101;
/// Invocations of a process in one turn, of which the median counts: the first find caches and processor as the
/// process before left them, which is not warm.
const INVOCATIONS: usize = 25;

/// The event of a request with that access token.
pub fn event_of(access_token: &str) -> anyhow::Result<Value> {
    event(EVENT, &format!("sAccessToken={access_token}"))
}

/// Measures it in this process, then warm behind the Runtime API.
pub fn measure() -> anyhow::Result<Section> {
    let mut section = Section::new("authorizer");
    in_process(&mut section)?;
    on_one_core(|| warm(&mut section))?;
    Ok(section)
}

fn in_process(section: &mut Section) -> anyhow::Result<()> {
    let mut rows = Vec::new();
    for algorithm in ["RS256", "ES256"] {
        let lab = Lab::new(algorithm)?;
        let token = lab.sign_in(USER)?.access.token;
        let raw = Raw::new(&lab.jwks()?, &token)?;
        let bytes = event_of(&token)?.to_string();
        let store = lab.sessions.store().clone().read_only();
        let sessions = Sessions::new(lab.sessions.config().clone(), store);
        let config = AuthorizerConfig::default();
        let mut contenders = [
            Contender::new("raw `aws-lc-rs`, parsed key", || raw.turn(TIMES)),
            Contender::new("**Sesam**, bytes to bytes", || {
                lab.runtime.block_on(async {
                    let begun = now();
                    for _ in 0..TIMES {
                        let event: Box<RawValue> = serde_json::from_slice(bytes.as_bytes())?;
                        let answer =
                            ::authorizer::handle(&sessions, &config, &SystemClock, &event).await;
                        let answer = answer.map_err(|error| anyhow::anyhow!("{error:?}"))?;
                        std::hint::black_box(serde_json::to_vec(&answer)?);
                    }
                    Ok(nanos(begun.elapsed()) / f64::from(TIMES))
                })
            }),
        ];
        take_turns(&mut contenders, ROUNDS)?;
        let [raw, ours] = &contenders;
        section.figure(&format!("authorizer.{algorithm}"), ours.ratio(raw).median);
        section.figure(&format!("authorizer.{algorithm}.raw"), raw.median());
        rows.extend(contenders.iter().map(|one| {
            let ratio = one.ratio(raw).times();
            [algorithm.to_owned(), one.name.clone(), micros(one.median()), ratio]
        }));
    }
    section.text(&table(["", "In one process", "Median, µs", "÷ raw"], rows));
    Ok(())
}

/// The empty function.
pub fn echo() -> anyhow::Result<Program> {
    Ok(Program {
        name: "echo".to_owned(),
        executable: built()?.join("echo"),
        arguments: Vec::new(),
        variables: Vec::new(),
        inherits_environment: false,
        is_silent: true,
        memory_mb: 256,
        timeout: std::time::Duration::from_secs(5),
    })
}

/// The authorizers in Node: by AWS's library, and as SuperTokens' documentation shows it.
pub fn in_node(lab: &Lab) -> anyhow::Result<[(&'static str, Program); 3]> {
    let jwks = serde_json::to_string(&lab.jwks()?)?;
    let variables =
        [("ISSUER", ISSUER), ("CORE", lab.core_url.as_str()), ("PINNED_JWKS", jwks.as_str())];
    Ok([
        ("Node, `aws-jwt-verify`, pinned keys, bundled", "dist/aws-jwt-verify.cjs"),
        ("Node, `supertokens-node`, bundled", "dist/supertokens.cjs"),
        ("Node, `supertokens-node`", "supertokens.js"),
    ]
    .map(|(name, file)| (name, node::function(file, &variables))))
}

fn warm(section: &mut Section) -> anyhow::Result<()> {
    let lab = Lab::new("RS256")?;
    let event = event_of(&lab.sign_in(USER)?.access.token)?;
    let ours = lab.binaries()?.program("AuthorizerFunction", &[])?;
    let [aws, _, supertokens] = in_node(&lab)?;
    let programs = [
        ("`lambda_runtime` echo", echo()?),
        ("**Sesam**", ours),
        aws,
        supertokens,
        ("Node, empty function", node::function("empty.js", &[])),
    ];
    let mut contenders = Vec::new();
    for (name, program) in programs {
        let (mut process, _) = Process::start(&lab, &program, &event)?;
        for _ in 0..300 {
            process.invoke(&lab, &event)?;
        }
        let (lab, event) = (&lab, &event);
        contenders.push(Contender::new(name, move || {
            let times = (0..INVOCATIONS).map(|_| Ok(process.invoke(lab, event)?.1));
            Ok(quantile(&times.collect::<anyhow::Result<Vec<_>>>()?, 0.5))
        }));
    }
    take_turns(&mut contenders, ROUNDS)?;
    let echo = &contenders[0];
    let excess = |one: &Contender<'_>| {
        let Spread { median, low, high } = one.excess(echo);
        format!("{} ({}–{})", micros(median), micros(low), micros(high))
    };
    section.figure("warm.excess", contenders[1].excess(echo).median);
    let bars = contenders.iter().map(|one| (one.name.clone(), one.median() / 1e3));
    section.text("Warm, behind a Runtime API on loopback, on one core:");
    section.plot("warm", "One warm invocation, in µs", plot::bars(bars)?);
    let rows = contenders.iter().map(|one| [one.name.clone(), micros(one.median()), excess(one)]);
    section.text(&table(["Function", "Median, µs", "More than echo, µs"], rows.collect()));
    Ok(())
}
