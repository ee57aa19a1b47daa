//! `sesam sessions`: what is known of sessions, and ending them.

use anyhow::Context as _;
use clap::Subcommand;
use serde_json::{Value, json};
use session::Sessions;
use session::model::{
    Device, Revocation, Session, SessionHandle, SessionInformation, SessionSummary, SessionsOf,
    TenantId, Timestamp, UserId,
};
use session::store::{DynamoDb, SessionReader as _};

use crate::terminal::{Terminal, count, distance, instant, printable};
use crate::{Call, Ending};

/// What to know after sessions were ended.
const STILL_WORKS: &str =
    "Access tokens that are out work until they expire, except behind a strict authorizer.";

#[derive(Subcommand)]
pub(crate) enum Command {
    /// The sessions of a user, those used last first
    List {
        /// The user's id
        user: String,
        /// Only those of this tenant
        #[arg(long)]
        tenant: Option<String>,
    },
    /// One session, also one that was ended for reuse: with the evidence
    Show {
        /// The session's handle, as lists, logs and alarms name it
        #[arg(allow_hyphen_values = true)]
        handle: SessionHandle,
        /// Also what the application keeps with the session
        #[arg(long)]
        data: bool,
    },
    /// End one session
    End {
        /// The session's handle
        #[arg(allow_hyphen_values = true)]
        handle: SessionHandle,
    },
    /// End all sessions of a user
    EndAll {
        /// The user's id
        user: String,
        /// Only those of this tenant
        #[arg(long)]
        tenant: Option<String>,
    },
    /// End all sessions of a tenant; reads the whole table to find them
    EndTenant {
        /// The tenant's id
        tenant: String,
    },
}

pub(crate) async fn run(
    call: &Call,
    command: Command,
    terminal: &mut Terminal<'_>,
) -> anyhow::Result<Ending> {
    let sessions = call.deployment.sessions()?;
    match command {
        Command::List { user, tenant } => {
            let (user, tenant) = (UserId::new(user), tenant.map(TenantId::new));
            let which = SessionsOf { tenant_id: tenant.as_ref(), ..SessionsOf::user(&user) };
            list(call, &sessions, which, terminal).await
        }
        Command::Show { handle, data } => show(call, &sessions, &handle, data, terminal).await,
        Command::End { handle } => end(call, &sessions, &handle, terminal).await,
        Command::EndAll { user, tenant } => {
            let (user, tenant) = (UserId::new(user), tenant.map(TenantId::new));
            let which = SessionsOf { tenant_id: tenant.as_ref(), ..SessionsOf::user(&user) };
            end_all(call, &sessions, which, terminal).await
        }
        Command::EndTenant { tenant } => {
            end_tenant(call, &sessions, &TenantId::new(tenant), terminal).await
        }
    }
}

async fn list(
    call: &Call,
    sessions: &Sessions<DynamoDb>,
    which: SessionsOf<'_>,
    terminal: &mut Terminal<'_>,
) -> anyhow::Result<Ending> {
    let found = sessions.sessions_of(which, call.now).await?;
    if call.json {
        terminal.json(&json!({ "sessions": found }))?;
        return Ok(Ending::Done);
    }
    if found.is_empty() {
        terminal.line(&format!("{} has no session.", printable(which.user_id.as_str())))?;
        return Ok(Ending::Done);
    }
    let row = |session: &SessionSummary| {
        vec![
            session.handle.to_string(),
            printable(session.subject.tenant_id.as_str()),
            instant(session.created_at),
            distance(session.last_refreshed_at, call.now),
            distance(session.expires_at, call.now),
            device(&session.last_used_by),
        ]
    };
    let head = ["HANDLE", "TENANT", "CREATED", "LAST REFRESHED", "ENDS", "LAST USED BY"];
    terminal.table(&head, &found.iter().map(row).collect::<Vec<_>>())?;
    Ok(Ending::Done)
}

async fn show(
    call: &Call,
    sessions: &Sessions<DynamoDb>,
    handle: &SessionHandle,
    with_data: bool,
    terminal: &mut Terminal<'_>,
) -> anyhow::Result<Ending> {
    // As it lies in the table: a session that was ended for reuse is there for a while, and tells why.
    let Some(session) = sessions.store().session(handle).await? else {
        return no_session(call, handle, terminal);
    };
    let (state, revocation) = (state(&session, call.now), session.revocation.clone());
    let information = SessionInformation::from(session);
    if call.json {
        let mut document = serde_json::to_value(&information)?;
        if let Some(members) = document.as_object_mut() {
            if !with_data {
                members.remove("sessionDataInDatabase");
            }
            members.insert("state".to_owned(), state.into());
            members.insert("revocation".to_owned(), serde_json::to_value(&revocation)?);
        }
        terminal.json(&document)?;
        return Ok(Ending::Done);
    }
    let at = |at: Timestamp| format!("{} ({})", instant(at), distance(at, call.now));
    let SessionInformation { summary, session_data, access_token_payload } = information;
    let subject = &summary.subject;
    let mut rows = vec![
        ("session", handle.to_string()),
        ("state", state.to_owned()),
        ("user", printable(subject.user_id.as_str())),
        ("login method's user", printable(subject.recipe_user_id.as_str())),
        ("tenant", printable(subject.tenant_id.as_str())),
        ("created", at(summary.created_at)),
        ("last refreshed", at(summary.last_refreshed_at)),
        ("ends", at(summary.expires_at)),
        ("last used by", device(&summary.last_used_by)),
        ("bound to a device", if summary.device_bound { "yes" } else { "no" }.to_owned()),
    ];
    if let Some(Revocation::Reuse { presented, presented_by }) = &revocation {
        rows.push(("ended for", format!("reuse: refresh token {presented} was presented again")));
        rows.push(("presented by", device(presented_by)));
    }
    let claims = Value::Object(access_token_payload).to_string();
    rows.push(("claims", printable(&claims)));
    let members = count(session_data.len(), "member");
    let data = Value::Object(session_data).to_string();
    let data = if with_data { printable(&data) } else { format!("{members}; --data shows them") };
    rows.push(("session data", data));
    let width = rows.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
    for (name, value) in rows {
        terminal.line(&format!("{name:width$}  {value}"))?;
    }
    Ok(Ending::Done)
}

async fn end(
    call: &Call,
    sessions: &Sessions<DynamoDb>,
    handle: &SessionHandle,
    terminal: &mut Terminal<'_>,
) -> anyhow::Result<Ending> {
    let Some(SessionInformation { summary: found, .. }) =
        sessions.information(handle, call.now).await?
    else {
        return no_session(call, handle, terminal);
    };
    let question = format!(
        "End this session of {}, last refreshed {}?",
        printable(found.subject.user_id.as_str()),
        distance(found.last_refreshed_at, call.now)
    );
    terminal.confirm(&question, call.yes)?;
    let is_ended = sessions.revoke(handle).await?;
    ended(call, &if is_ended { vec![*handle] } else { Vec::new() }, terminal)
}

async fn end_all(
    call: &Call,
    sessions: &Sessions<DynamoDb>,
    which: SessionsOf<'_>,
    terminal: &mut Terminal<'_>,
) -> anyhow::Result<Ending> {
    let number = sessions.used_last(which, 0, call.now).await?.total;
    let user = printable(which.user_id.as_str());
    terminal.confirm(&format!("End {} of {user}?", count(number, "session")), call.yes)?;
    let handles = sessions.revoke_all(which).await?;
    ended(call, &handles, terminal)
}

async fn end_tenant(
    call: &Call,
    sessions: &Sessions<DynamoDb>,
    tenant: &TenantId,
    terminal: &mut Terminal<'_>,
) -> anyhow::Result<Ending> {
    let name = call.deployment.table("SESSIONS_TABLE")?;
    let description = call.deployment.dynamodb().describe_table().table_name(&name).send().await;
    let description = description.ok().and_then(|answer| answer.table);
    let size = description.map_or_else(String::new, |table| {
        // Counted every six hours or so by DynamoDB; a consistent read of 4 KB is a unit.
        let (items, bytes) =
            (table.item_count.unwrap_or_default(), table.table_size_bytes.unwrap_or_default());
        format!(": about {items} items, {} read units", bytes / 4096 + 1)
    });
    terminal.note(&format!("No key names tenants, so all of {name} is read{size}."))?;
    let question = format!("End all sessions of the tenant {}?", printable(tenant.as_str()));
    terminal.confirm(&question, call.yes)?;
    let (mut handles, mut scanned, mut after) = (Vec::new(), 0, None);
    loop {
        let page = sessions.revoke_page(Some(tenant), after).await;
        let page = page.with_context(|| {
            format!("{} were ended before; repeat the command", count(handles.len(), "session"))
        })?;
        handles.extend(page.handles);
        scanned += page.scanned;
        if terminal.is_interactive {
            terminal.note(&format!("  {scanned} items read, {} ended", handles.len()))?;
        }
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    terminal.note("Sessions that began meanwhile may be left: repeat the command to be sure.")?;
    ended(call, &handles, terminal)
}

/// Says which sessions were ended.
fn ended(
    call: &Call,
    handles: &[SessionHandle],
    terminal: &mut Terminal<'_>,
) -> anyhow::Result<Ending> {
    if call.json {
        terminal.json(&json!({ "ended": handles }))?;
    } else {
        terminal.line(&format!("{} ended. {STILL_WORKS}", count(handles.len(), "session")))?;
    }
    Ok(Ending::Done)
}

fn no_session(
    call: &Call,
    handle: &SessionHandle,
    terminal: &mut Terminal<'_>,
) -> anyhow::Result<Ending> {
    if call.json {
        terminal.json(&Value::Null)?;
    } else {
        terminal.line(&format!(
            "There is no session {handle}: it was signed out, ended long ago, or is another application's \
             (--app-id)."
        ))?;
    }
    Ok(Ending::No)
}

fn state(session: &Session, now: Timestamp) -> &'static str {
    match session.refresh.revoked_at {
        Some(_) => "ended for reuse",
        None if session.is_alive(now) => "alive",
        None => "expired",
    }
}

fn device(device: &Device) -> String {
    let [agent, network] = [&device.agent, &device.network]
        .map(|text| text.as_deref().map_or_else(|| "unknown".to_owned(), printable));
    format!("{agent} from {network}")
}
