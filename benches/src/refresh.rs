//! One refresh: an event's bytes in, the answer's bytes out.

use std::collections::HashMap;

use anyhow::Context as _;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue};
use bootstrap::SystemClock;
use local::dynamodb::{SESSIONS_TABLE, client};
use session::model::Clock as _;
use session::token::key::SigningAlgorithm;

use crate::cold::refreshing;
use crate::lab::{ISSUER, Lab, USER, refresh};
use crate::process::{Process, on_one_core};
use crate::report::{Section, micros, table};
use crate::rounds::{Contender, nanos, now, take_turns};
use crate::verify::RawSigner;
use crate::{node, plot};

const ROUNDS: usize = 401;
const INVOCATIONS: usize = 301;

/// Measures it in this process beside what cannot be avoided, then as a process beside Node.
pub fn measure() -> anyhow::Result<Section> {
    let mut section = Section::new("refresh");
    in_process(&mut section)?;
    on_one_core(|| warm(&mut section))?;
    Ok(section)
}

fn in_process(section: &mut Section) -> anyhow::Result<()> {
    let lab = Lab::new("RS256")?;
    let sdk = client(lab.engine.clone());
    let signer =
        RawSigner::new(SigningAlgorithm::Rs256, &SigningAlgorithm::Rs256.generate_pkcs8()?)?;
    // As long as what is signed of an access token.
    let message = lab.sign_in(USER)?.access.token;
    let message = message.rsplit_once('.').context("this is no token")?.0.to_owned();
    let mut contenders = [
        Contender::new("raw: one SDK update, one signature", || {
            // Each turn has a session of its own, so that each refresh is the usual one.
            let handle = lab.sign_in(USER)?.handle.to_string();
            lab.runtime.block_on(async {
                let begun = now();
                update(&sdk, &handle).await?;
                signer.sign(message.as_bytes())?;
                Ok(nanos(begun.elapsed()))
            })
        }),
        Contender::new("**Sesam**, bytes to bytes", || {
            let event = refreshing(lab.sign_in(USER)?.refresh.expose())?.to_string();
            lab.runtime.block_on(async {
                let begun = now();
                let answer = refresh(&lab.sessions, event.as_bytes()).await?;
                let time = nanos(begun.elapsed());
                let answer: serde_json::Value = serde_json::from_slice(&answer)?;
                anyhow::ensure!(answer["statusCode"] == 200, "refused: {answer}");
                Ok(time)
            })
        }),
    ];
    take_turns(&mut contenders, ROUNDS)?;
    let [raw, ours] = &contenders;
    section.figure("refresh", ours.ratio(raw).median);
    section.figure("refresh.micros", ours.median() / 1e3);
    let rows = contenders.iter();
    let rows = rows.map(|one| [one.name.clone(), micros(one.median()), one.ratio(raw).times()]);
    section.text(&table(["In one process", "Median, µs", "÷ raw"], rows.collect()));
    Ok(())
}

/// The update that a refresh is, written by hand with the SDK: same attributes, same condition.
async fn update(sdk: &aws_sdk_dynamodb::Client, handle: &str) -> anyhow::Result<()> {
    let now = SystemClock.now().as_millis();
    let n = |number: u64| AttributeValue::N(number.to_string());
    let text = |text: &str| AttributeValue::S(text.to_owned());
    let device = HashMap::from([
        ("agent".to_owned(), text("example")),
        ("network".to_owned(), text("192.0.2.1")),
    ]);
    let idle = 100 * 24 * 3_600_000;
    sdk.update_item()
        .table_name(SESSIONS_TABLE)
        .key("pk", text(&format!("public#{}", &handle[..16])))
        .key("sk", text(handle))
        .update_expression(
            "SET #current = :current, parent = :parent, chain = :chain, moved = :moved, \
             minted_at = :now, answered_at = :now, #ttl = :ttl, last_used_by = :device, \
             expires_at = if_not_exists(idle_ttl, :idle) + :now, \
             spent1 = :parent, spent2 = spent1, spent3 = spent2",
        )
        .condition_expression(
            "#current = :parent AND minted_at < :cutoff AND #format = :format \
             AND attribute_not_exists(revoked_at) AND expires_at > :now \
             AND (attribute_not_exists(absolute_end) OR absolute_end > :now) \
             AND (attribute_not_exists(idle_ttl) OR idle_ttl <= :idle)",
        )
        .expression_attribute_names("#current", "current")
        .expression_attribute_names("#format", "format")
        .expression_attribute_names("#ttl", "ttl")
        .expression_attribute_values(":current", n(2))
        .expression_attribute_values(":parent", n(1))
        .expression_attribute_values(":chain", n(0))
        .expression_attribute_values(":format", n(1))
        .expression_attribute_values(":moved", AttributeValue::Bool(true))
        .expression_attribute_values(":now", n(now))
        .expression_attribute_values(":cutoff", n(now - 60_000))
        .expression_attribute_values(":ttl", n((now + idle) / 1000))
        .expression_attribute_values(":idle", n(idle))
        .expression_attribute_values(":device", AttributeValue::M(device))
        // As a refresh has it: its answer is what the new tokens are made of.
        .return_values(ReturnValue::AllOld)
        .send()
        .await?;
    Ok(())
}

fn warm(section: &mut Section) -> anyhow::Result<()> {
    let lab = Lab::new("RS256")?;
    let ours = lab.binaries()?.program("RefreshFunction", &[])?;
    let theirs =
        node::function("supertokens.js", &[("ISSUER", ISSUER), ("CORE", lab.core_url.as_str())]);
    let mut contenders = Vec::new();
    let programs = [
        ("**Sesam**, `refresh` on its table", ours),
        ("Node, `supertokens-node` on Sesam's core", theirs),
    ];
    for (name, program) in programs {
        let event = || refreshing(lab.sign_in(USER)?.refresh.expose());
        let (mut process, _) = Process::start(&lab, &program, &event()?)?;
        for _ in 0..50 {
            process.invoke(&lab, &event()?)?;
        }
        contenders.push(Contender::new(name, {
            let lab = &lab;
            move || Ok(process.invoke(lab, &refreshing(lab.sign_in(USER)?.refresh.expose())?)?.1)
        }));
    }
    take_turns(&mut contenders, INVOCATIONS)?;
    let [ours, node] = contenders.as_slice() else { anyhow::bail!("there are two") };
    section.figure("refresh.node", node.ratio(ours).median);
    let bars = contenders.iter().map(|one| (one.name.clone(), one.median() / 1e3));
    section.text("Warm, as a process behind a Runtime API, with tables and core on loopback:");
    section.plot("refresh", "One warm refresh, in µs", plot::bars(bars)?);
    let rows = contenders.iter();
    let rows = rows.map(|one| [one.name.clone(), micros(one.median()), one.ratio(ours).times()]);
    section.text(&table(["Function", "Median, µs", "÷ Sesam"], rows.collect()));
    Ok(())
}
