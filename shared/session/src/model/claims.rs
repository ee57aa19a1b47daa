//! Claims with an age, and the validators that routes demand of them (contract §6.3).
//!
//! Such a claim is a member of the access token payload with the form `{"v": value, "t": milliseconds
//! since the epoch when it was fetched}`. Front ends have mirror classes of the same form and the same
//! reasons, so the reasons are compatible to the byte, order of members included.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::ser::SerializeMap as _;
use serde::{Serialize, Serializer};
use serde_json::{Map, Value};

use super::device::DeviceKey;
use super::time::Timestamp;

/// The value of a claim in a payload; null is a value.
#[must_use]
pub fn value_of<'a>(payload: &'a Map<String, Value>, key: &str) -> Option<&'a Value> {
    payload.get(key)?.as_object()?.get("v")
}

/// What a payload holds for a claim that was fetched at `now`.
#[must_use]
pub fn stored(value: Value, now: Timestamp) -> Value {
    let members = [("v".to_owned(), value), ("t".to_owned(), now.as_millis().into())];
    Value::Object(Map::from_iter(members))
}

/// How far the clock of whoever wrote an instant may be ahead of ours. An instant beyond that has not
/// come, or was written in another unit: nothing is known of its age.
const SKEW: Duration = Duration::from_mins(1);

/// How long ago an instant was, in milliseconds, negative within [`SKEW`]; `None` if it lies ahead.
fn age_of(instant: Timestamp, now: Timestamp) -> Option<i64> {
    if instant > now.plus(SKEW) {
        return None;
    }
    i64::try_from(now.as_millis()).ok()?.checked_sub(i64::try_from(instant.as_millis()).ok()?)
}

/// How long ago a claim was fetched; `None` if nothing usable says so.
fn age(payload: &Map<String, Value>, key: &str, now: Timestamp) -> Option<i64> {
    let fetched_at = payload.get(key)?.as_object()?.get("t")?.as_u64()?;
    age_of(Timestamp::from_millis(fetched_at), now)
}

/// How and when a user proved who they are (`auth_time` and `amr` of `OpenID` Connect Core §2).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Authentication {
    /// When the credentials were checked.
    pub at: Timestamp,
    /// By which methods, such as `pwd`, `otp`, `hwk` (RFC 8176 §2).
    pub methods: Vec<String>,
}

impl Authentication {
    /// The claim with the instant, in seconds.
    pub const AT_CLAIM: &'static str = "auth_time";
    /// The claim with the methods.
    pub const METHODS_CLAIM: &'static str = "amr";
    /// All claims about it, that of an authentication context class (`OpenID` Connect Core §2) included.
    pub const CLAIMS: [&'static str; 3] = [Self::AT_CLAIM, Self::METHODS_CLAIM, "acr"];

    /// The two claims.
    #[must_use]
    pub fn into_claims(self) -> Map<String, Value> {
        Map::from_iter([
            (Self::AT_CLAIM.to_owned(), self.at.as_secs().into()),
            (Self::METHODS_CLAIM.to_owned(), self.methods.into()),
        ])
    }
}

/// A claim whose value is text, a number, a boolean or null.
#[derive(Clone, Debug)]
pub struct PrimitiveClaim(String);

/// A claim whose value is a boolean.
#[derive(Clone, Debug)]
pub struct BooleanClaim(String);

/// A claim whose value is an array of text, numbers, booleans or nulls, such as roles.
#[derive(Clone, Debug)]
pub struct ArrayClaim(String);

impl PrimitiveClaim {
    /// The claim of that name in the payload.
    pub fn new(key: impl Into<String>) -> Self {
        Self(key.into())
    }

    /// The value must be this one.
    #[must_use]
    pub fn has_value(&self, expected: impl Into<Value>) -> ClaimValidator {
        ClaimValidator::of(&self.0, Demand::Value(expected.into()))
    }
}

impl BooleanClaim {
    /// The claim of that name in the payload.
    pub fn new(key: impl Into<String>) -> Self {
        Self(key.into())
    }

    /// The value must be this one.
    #[must_use]
    pub fn has_value(&self, expected: bool) -> ClaimValidator {
        ClaimValidator::of(&self.0, Demand::Value(expected.into()))
    }

    /// The value must be true.
    #[must_use]
    pub fn is_true(&self) -> ClaimValidator {
        self.has_value(true)
    }

    /// The value must be false.
    #[must_use]
    pub fn is_false(&self) -> ClaimValidator {
        self.has_value(false)
    }
}

impl ArrayClaim {
    /// The claim of that name in the payload.
    pub fn new(key: impl Into<String>) -> Self {
        Self(key.into())
    }

    /// The array must hold this.
    #[must_use]
    pub fn includes(&self, value: impl Into<Value>) -> ClaimValidator {
        ClaimValidator::of(&self.0, Demand::Includes(value.into()))
    }

    /// The array must not hold this.
    #[must_use]
    pub fn excludes(&self, value: impl Into<Value>) -> ClaimValidator {
        ClaimValidator::of(&self.0, Demand::Excludes(value.into()))
    }

    /// The array must hold all of these.
    #[must_use]
    pub fn includes_all<V: Into<Value>>(
        &self,
        values: impl IntoIterator<Item = V>,
    ) -> ClaimValidator {
        ClaimValidator::of(&self.0, Demand::IncludesAll(list(values)))
    }

    /// The array must hold one of these at least.
    #[must_use]
    pub fn includes_any<V: Into<Value>>(
        &self,
        values: impl IntoIterator<Item = V>,
    ) -> ClaimValidator {
        ClaimValidator::of(&self.0, Demand::IncludesAny(list(values)))
    }

    /// The array must hold none of these.
    #[must_use]
    pub fn excludes_all<V: Into<Value>>(
        &self,
        values: impl IntoIterator<Item = V>,
    ) -> ClaimValidator {
        ClaimValidator::of(&self.0, Demand::ExcludesAll(list(values)))
    }
}

fn list<V: Into<Value>>(values: impl IntoIterator<Item = V>) -> Vec<Value> {
    values.into_iter().map(Into::into).collect()
}

/// What a route demands of a payload. Pure: whatever must be fetched was fetched before.
#[derive(Clone, Debug)]
pub struct ClaimValidator {
    id: String,
    check: Check,
    max_age: Option<Duration>,
}

#[derive(Clone)]
enum Check {
    /// A claim with an age, that can be fetched again.
    Claim(String, Demand),
    /// How and when the user proved who they are; any of the methods will do, if there are any.
    Authentication(Vec<String>),
    /// That the session is bound to a key of its device.
    DeviceBound,
    /// Whatever the application likes; the error is the reason.
    Custom(Arc<CustomCheck>),
}

type CustomCheck =
    dyn Fn(&Map<String, Value>, Timestamp) -> Result<(), Option<Value>> + Send + Sync;

#[derive(Clone, Debug)]
enum Demand {
    Value(Value),
    Includes(Value),
    Excludes(Value),
    IncludesAll(Vec<Value>),
    IncludesAny(Vec<Value>),
    ExcludesAll(Vec<Value>),
}

impl ClaimValidator {
    fn of(key: &str, demand: Demand) -> Self {
        let check = Check::Claim(key.to_owned(), demand);
        Self { id: key.to_owned(), check, max_age: None }
    }

    /// Any condition on the payload, at an instant; the error is the reason that the client gets to
    /// see, if any.
    pub fn custom(
        id: impl Into<String>,
        check: impl Fn(&Map<String, Value>, Timestamp) -> Result<(), Option<Value>>
        + Send
        + Sync
        + 'static,
    ) -> Self {
        Self { id: id.into(), check: Check::Custom(Arc::new(check)), max_age: None }
    }

    /// The user must have proved who they are, by whichever method: for sensitive routes, with a
    /// [`Self::max_age`]. Looks at `auth_time` and `amr`.
    ///
    /// A refusal is 403 with the claim error under the id `auth_time`, because a 401 would make
    /// `SuperTokens`' front ends refresh in a loop, and carries the challenge of RFC 9470 §3.
    #[must_use]
    pub fn authenticated() -> Self {
        let id = Authentication::AT_CLAIM.to_owned();
        Self { id, check: Check::Authentication(Vec::new()), max_age: None }
    }

    /// As [`Self::authenticated`], by one of these methods at least.
    #[must_use]
    pub fn authenticated_by<V: Into<String>>(methods: impl IntoIterator<Item = V>) -> Self {
        let methods = methods.into_iter().map(Into::into).collect();
        Self { check: Check::Authentication(methods), ..Self::authenticated() }
    }

    /// The session must be bound to a key of its device, as the token says since the last refresh
    /// (docs/device-binding.md). Looks at `cnf`; the id is `deviceBound`.
    #[must_use]
    pub fn device_bound() -> Self {
        Self { id: "deviceBound".to_owned(), check: Check::DeviceBound, max_age: None }
    }

    /// The claim must not be older than this; an older one that can be fetched is fetched again first.
    /// One that does not say when it was fetched, or names an instant that has not come, is older than
    /// any limit. Custom validators have no age.
    #[must_use]
    pub fn max_age(self, max_age: Duration) -> Self {
        Self { max_age: Some(max_age), ..self }
    }

    /// Reports failures under this id instead of the claim's name.
    #[must_use]
    pub fn id(self, id: impl Into<String>) -> Self {
        Self { id: id.into(), ..self }
    }

    /// The claim to fetch before validating, if it is missing or too old.
    #[must_use]
    pub fn to_refetch(&self, payload: &Map<String, Value>, now: Timestamp) -> Option<&str> {
        let Check::Claim(key, _) = &self.check else {
            return None;
        };
        let is_wanted = value_of(payload, key).is_none() || self.expired(age(payload, key, now));
        is_wanted.then_some(key)
    }

    /// What the payload lacks at `now`; `None` if it meets the demand.
    #[must_use]
    pub fn validate(&self, payload: &Map<String, Value>, now: Timestamp) -> Option<InvalidClaim> {
        let (reason, challenge) = match &self.check {
            Check::Claim(key, demand) => {
                (Some(self.check_claim(payload, key, demand, now).err()?), None)
            }
            Check::Authentication(methods) => {
                let reason = self.authentication(payload, methods, now).err()?;
                let challenge = Challenge { max_age: self.max_age, methods: methods.clone() };
                (Some(reason), Some(challenge))
            }
            Check::DeviceBound => {
                if names_device_key(payload) {
                    return None;
                }
                let bound = Demand::Value(true.into()).expectation();
                (Some(Reason::Wrong(bound, false.into())), None)
            }
            Check::Custom(check) => (check(payload, now).err()?.map(Reason::Custom), None),
        };
        Some(InvalidClaim { id: self.id.clone(), reason, challenge })
    }

    fn check_claim(
        &self,
        payload: &Map<String, Value>,
        key: &str,
        demand: &Demand,
        now: Timestamp,
    ) -> Result<(), Reason> {
        let Some(value) = value_of(payload, key) else {
            return Err(Reason::Missing(demand.expectation_of_missing()));
        };
        self.check_age(age(payload, key, now))?;
        if demand.holds(value) {
            return Ok(());
        }
        Err(Reason::Wrong(demand.expectation(), value.clone()))
    }

    fn authentication(
        &self,
        payload: &Map<String, Value>,
        methods: &[String],
        now: Timestamp,
    ) -> Result<(), Reason> {
        let any_of = Demand::IncludesAny(list(methods.iter().cloned()));
        let at = payload.get(Authentication::AT_CLAIM).and_then(Value::as_u64);
        // Whole seconds on both sides, as the claim has no others.
        let now = Timestamp::from_secs(now.as_secs());
        let Some(age) = at.and_then(|at| age_of(Timestamp::from_secs(at), now)) else {
            return Err(Reason::Missing(any_of.expectation()));
        };
        self.check_age(Some(age))?;
        let used = payload.get(Authentication::METHODS_CLAIM).unwrap_or(&Value::Null);
        if methods.is_empty() || any_of.holds(used) {
            return Ok(());
        }
        Err(Reason::Wrong(any_of.expectation(), used.clone()))
    }

    /// Whether it is older than it may be; an unknown age is, if there is a limit.
    fn expired(&self, age: Option<i64>) -> bool {
        let max_age = self.max_age.map(|max| i64::try_from(max.as_millis()).unwrap_or(i64::MAX));
        max_age.is_some_and(|max_age| age.is_none_or(|age| age > max_age))
    }

    fn check_age(&self, age: Option<i64>) -> Result<(), Reason> {
        match self.max_age {
            Some(max_age) if self.expired(age) => Err(Reason::Expired { age, max_age }),
            Some(_) | None => Ok(()),
        }
    }
}

impl Demand {
    fn holds(&self, value: &Value) -> bool {
        let held = |wanted: &Value| {
            value.as_array().is_some_and(|values| values.iter().any(|v| is_same(v, wanted)))
        };
        match self {
            Self::Value(expected) => is_same(value, expected),
            Self::Includes(wanted) => held(wanted),
            Self::Excludes(unwanted) => value.is_array() && !held(unwanted),
            Self::IncludesAll(wanted) => wanted.iter().all(held),
            Self::IncludesAny(wanted) => wanted.iter().any(held),
            Self::ExcludesAll(unwanted) => value.is_array() && !unwanted.iter().any(held),
        }
    }

    fn expectation(&self) -> Expectation {
        let (name, expected) = match self {
            Self::Value(expected) => ("expectedValue", expected.clone()),
            Self::Includes(wanted) => ("expectedToInclude", wanted.clone()),
            Self::Excludes(unwanted) => ("expectedToNotInclude", unwanted.clone()),
            Self::IncludesAll(wanted) => ("expectedToInclude", wanted.clone().into()),
            Self::IncludesAny(wanted) => ("expectedToIncludeAtLeastOneOf", wanted.clone().into()),
            Self::ExcludesAll(unwanted) => ("expectedToNotInclude", unwanted.clone().into()),
        };
        Expectation { name, expected }
    }

    /// A quirk of the reference that front ends may know: one demand is called by another name when
    /// there is no value at all (contract §6.3).
    fn expectation_of_missing(&self) -> Expectation {
        let expectation = self.expectation();
        if matches!(self, Self::IncludesAny(_)) {
            return Expectation { name: "expectedToNotInclude", ..expectation };
        }
        expectation
    }
}

/// Whether the payload names a device key of the session: an app's by its thumbprint, a browser's by its text.
fn names_device_key(payload: &Map<String, Value>) -> bool {
    let member = |name: &str| payload.get("cnf")?.get(name)?.as_str();
    member("jkt").is_some() || member("kid").is_some_and(|text| text.parse::<DeviceKey>().is_ok())
}

/// Equality as JSON sees it: 1 and 1.0 are one number.
fn is_same(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => {
            left == right || left.as_f64() == right.as_f64()
        }
        _ => left == right,
    }
}

impl fmt::Debug for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Claim(key, demand) => f.debug_tuple("Claim").field(key).field(demand).finish(),
            Self::Authentication(methods) => {
                f.debug_tuple("Authentication").field(methods).finish()
            }
            Self::DeviceBound => f.write_str("DeviceBound"),
            Self::Custom(_) => f.write_str("Custom(…)"),
        }
    }
}

/// A demand that a session does not meet. Serialises to a member of `claimValidationErrors`
/// (contract §3.6).
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct InvalidClaim {
    /// The validator's id.
    pub id: String,
    /// Why; absent if the validator gave no reason.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    /// What the user could do about it, for the header of RFC 9470.
    #[serde(skip)]
    pub challenge: Option<Challenge>,
}

/// Why a validator fails.
#[derive(Clone, Debug, PartialEq)]
pub enum Reason {
    /// There is no value.
    Missing(Expectation),
    /// The value is too old.
    Expired {
        /// How old it is, in milliseconds, if that is known.
        age: Option<i64>,
        /// How old it may be.
        max_age: Duration,
    },
    /// The value, given last, is another.
    Wrong(Expectation, Value),
    /// What a custom validator says.
    Custom(Value),
}

/// What a validator wanted, under the name that front ends know it by.
#[derive(Clone, Debug, PartialEq)]
pub struct Expectation {
    name: &'static str,
    expected: Value,
}

impl Serialize for Reason {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = match self {
            Self::Custom(reason) => return reason.serialize(serializer),
            Self::Missing(_) | Self::Expired { .. } | Self::Wrong(..) => {
                serializer.serialize_map(None)?
            }
        };
        match self {
            Self::Missing(Expectation { name, expected }) => {
                map.serialize_entry("message", "value does not exist")?;
                map.serialize_entry(name, expected)?;
            }
            Self::Expired { age, max_age } => {
                map.serialize_entry("message", "expired")?;
                if let Some(age) = age {
                    map.serialize_entry("ageInSeconds", &seconds(*age))?;
                }
                let max_age = i64::try_from(max_age.as_millis()).unwrap_or(i64::MAX);
                map.serialize_entry("maxAgeInSeconds", &seconds(max_age))?;
            }
            Self::Wrong(Expectation { name, expected }, actual) => {
                map.serialize_entry("message", "wrong value")?;
                map.serialize_entry(name, expected)?;
                map.serialize_entry("actualValue", actual)?;
            }
            Self::Custom(_) => {}
        }
        map.end()
    }
}

/// Milliseconds as seconds, written as JavaScript writes numbers: without a fraction if there is none.
#[expect(clippy::cast_precision_loss, reason = "ages are far below 2^53 milliseconds")]
fn seconds(millis: i64) -> Value {
    if millis % 1000 == 0 { (millis / 1000).into() } else { (millis as f64 / 1000.0).into() }
}

/// What would make a sensitive route accept the session (RFC 9470 §3).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Challenge {
    /// How long ago the user may have proved who they are.
    pub max_age: Option<Duration>,
    /// By which methods, any of them; empty if all will do.
    pub methods: Vec<String>,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_700_000_000);

    /// A payload with one claim, fetched so many milliseconds ago.
    fn payload(key: &str, value: Value, age: u64) -> Map<String, Value> {
        let fetched_at = NOW.minus(Duration::from_millis(age));
        Map::from_iter([(key.to_owned(), stored(value, fetched_at))])
    }

    /// The reason, as it is sent; empty if the validator is content.
    fn reason(validator: &ClaimValidator, payload: &Map<String, Value>) -> String {
        match validator.validate(payload, NOW) {
            None => String::new(),
            Some(invalid) => serde_json::to_string(&invalid.reason).unwrap(),
        }
    }

    #[test]
    fn a_value_is_compared_as_json_is() {
        let claim = PrimitiveClaim::new("c");
        let one = payload("c", json!(1.0), 0);
        assert_eq!(reason(&claim.has_value(1), &one), "");
        let text = payload("c", json!("1"), 0);
        let wrong = r#"{"message":"wrong value","expectedValue":1,"actualValue":"1"}"#;
        assert_eq!(reason(&claim.has_value(1), &text), wrong);
    }

    #[test]
    fn null_is_a_value_and_a_claim_without_v_has_none() {
        let claim = PrimitiveClaim::new("c");
        let null = payload("c", Value::Null, 0);
        assert_eq!(reason(&claim.has_value(Value::Null), &null), "");
        let wrong = r#"{"message":"wrong value","expectedValue":"x","actualValue":null}"#;
        assert_eq!(reason(&claim.has_value("x"), &null), wrong);
        let missing = r#"{"message":"value does not exist","expectedValue":null}"#;
        for without in [json!(null), json!("text"), json!({ "t": 1 })] {
            let payload = Map::from_iter([("c".to_owned(), without)]);
            assert_eq!(reason(&claim.has_value(Value::Null), &payload), missing);
        }
    }

    #[test]
    fn a_boolean_is_true_or_false() {
        let claim = BooleanClaim::new("b");
        let yes = payload("b", json!(true), 0);
        assert_eq!(reason(&claim.is_true(), &yes), "");
        let wrong = r#"{"message":"wrong value","expectedValue":false,"actualValue":true}"#;
        assert_eq!(reason(&claim.is_false(), &yes), wrong);
    }

    #[test]
    fn every_demand_on_an_array_has_its_own_expectation() {
        let claim = ArrayClaim::new("r");
        let roles = payload("r", json!(["a", "b"]), 0);
        let wrong = |name: &str, expected: Value| {
            let expected = expected.to_string();
            format!(r#"{{"message":"wrong value","{name}":{expected},"actualValue":["a","b"]}}"#)
        };
        let fails = |validator: ClaimValidator| reason(&validator, &roles);
        assert_eq!(fails(claim.includes("z")), wrong("expectedToInclude", json!("z")));
        assert_eq!(fails(claim.excludes("a")), wrong("expectedToNotInclude", json!("a")));
        let all = claim.includes_all(["a", "z"]);
        assert_eq!(fails(all), wrong("expectedToInclude", json!(["a", "z"])));
        let any = claim.includes_any(["z"]);
        assert_eq!(fails(any), wrong("expectedToIncludeAtLeastOneOf", json!(["z"])));
        let none = claim.excludes_all(["a", "q"]);
        assert_eq!(fails(none), wrong("expectedToNotInclude", json!(["a", "q"])));

        for holds in [
            claim.includes("a"),
            claim.excludes("z"),
            claim.includes_all(["a", "b"]),
            claim.includes_any(["z", "b"]),
            claim.excludes_all(["q", "z"]),
        ] {
            assert_eq!(reason(&holds, &roles), "", "{holds:?}");
        }
    }

    /// A quirk of the reference that is kept (contract §6.3).
    #[test]
    fn a_missing_array_is_reported_by_the_demand_and_once_by_another_name() {
        let claim = ArrayClaim::new("r");
        let missing = |validator: &ClaimValidator| reason(validator, &Map::new());
        let said = |name: &str, expected: &str| {
            format!(r#"{{"message":"value does not exist","{name}":{expected}}}"#)
        };
        let all = claim.includes_all(["a"]);
        assert_eq!(missing(&all), said("expectedToInclude", r#"["a"]"#));
        let any = claim.includes_any(["a"]);
        assert_eq!(missing(&any), said("expectedToNotInclude", r#"["a"]"#));
    }

    #[test]
    fn what_is_no_array_neither_includes_nor_excludes() {
        let claim = ArrayClaim::new("r");
        let text = payload("r", json!("admin"), 0);
        assert_ne!(reason(&claim.includes("admin"), &text), "");
        assert_ne!(reason(&claim.excludes("guest"), &text), "");
    }

    #[test]
    fn a_claim_is_too_old_one_millisecond_after_its_age() {
        let validator = PrimitiveClaim::new("c").has_value("x").max_age(Duration::from_secs(2));
        let at = |age| payload("c", json!("x"), age);
        assert_eq!(reason(&validator, &at(2000)), "");
        assert_eq!(validator.to_refetch(&at(2000), NOW), None);
        let expired = r#"{"message":"expired","ageInSeconds":2.001,"maxAgeInSeconds":2}"#;
        assert_eq!(reason(&validator, &at(2001)), expired);
        assert_eq!(validator.to_refetch(&at(2001), NOW), Some("c"));
        let whole = r#"{"message":"expired","ageInSeconds":3,"maxAgeInSeconds":2}"#;
        assert_eq!(reason(&validator, &at(3000)), whole);
    }

    /// A claim of unknown age is older than any limit; so is one from a time that has not come, beyond
    /// what clocks differ by.
    #[test]
    fn a_claim_whose_age_is_not_known_is_too_old() {
        let validator = BooleanClaim::new("st-ev").is_true().max_age(Duration::from_mins(5));
        let fetched_at = |t: Value| {
            let mut claim = json!({ "v": true, "t": t });
            if claim["t"].is_null() {
                claim.as_object_mut().unwrap().remove("t");
            }
            Map::from_iter([("st-ev".to_owned(), claim)])
        };
        let now = NOW.as_millis();
        for usable in [json!(now - 300_000), json!(now), json!(now + 60_000)] {
            assert_eq!(reason(&validator, &fetched_at(usable.clone())), "", "{usable}");
        }
        let unusable = [
            Value::Null,
            json!("soon"),
            json!(-1),
            json!(now + 60_001),
            json!(now * 1000),
            json!(u64::MAX),
        ];
        for unusable in unusable {
            let payload = fetched_at(unusable.clone());
            let expired = r#"{"message":"expired","maxAgeInSeconds":300}"#;
            assert_eq!(reason(&validator, &payload), expired, "{unusable}");
            assert_eq!(validator.to_refetch(&payload, NOW), Some("st-ev"), "{unusable}");
            let ageless = BooleanClaim::new("st-ev").is_true();
            assert_eq!(reason(&ageless, &payload), "", "{unusable}");
        }
        // In seconds, which is long ago.
        let seconds = fetched_at(json!(NOW.as_secs()));
        assert!(reason(&validator, &seconds).starts_with(r#"{"message":"expired","ageInSeconds""#));
    }

    #[test]
    fn an_authentication_that_lies_ahead_never_was() {
        let at = |auth_time: Value| {
            let amr = json!(["otp"]);
            Map::from_iter([("auth_time".to_owned(), auth_time), ("amr".to_owned(), amr)])
        };
        let now = NOW.as_secs();
        let by_code = ClaimValidator::authenticated_by(["otp"]);
        let recent = by_code.clone().max_age(Duration::from_mins(5));
        for usable in [now - 300, now, now + 60] {
            assert_eq!(reason(&recent, &at(usable.into())), "", "{usable}");
        }
        let ahead = [json!(now + 61), json!(now + 86_400), json!(now * 1000), json!(u64::MAX)];
        let unusable = [json!(now.to_string()), json!(1_700_000_000.5), Value::Null];
        for unusable in ahead.into_iter().chain(unusable) {
            for validator in [&by_code, &recent] {
                let missing =
                    r#"{"message":"value does not exist","expectedToIncludeAtLeastOneOf":["otp"]}"#;
                assert_eq!(reason(validator, &at(unusable.clone())), missing, "{unusable}");
            }
        }
    }

    #[test]
    fn without_a_max_age_only_a_missing_claim_is_fetched() {
        let validator = PrimitiveClaim::new("c").has_value("x");
        assert_eq!(validator.to_refetch(&payload("c", json!("y"), 1 << 40), NOW), None);
        assert_eq!(validator.to_refetch(&Map::new(), NOW), Some("c"));
    }

    #[test]
    fn a_failure_has_the_validators_id_and_a_reason_only_if_there_is_one() {
        let silent = ClaimValidator::custom("mine", |_, _| Err(None));
        let failure = silent.validate(&Map::new(), NOW).unwrap();
        assert_eq!(serde_json::to_string(&failure).unwrap(), r#"{"id":"mine"}"#);
        let renamed = PrimitiveClaim::new("c").has_value(1).id("other");
        assert_eq!(renamed.validate(&Map::new(), NOW).unwrap().id, "other");
    }

    #[test]
    fn an_authentication_counts_by_age_and_by_any_of_the_methods() {
        let at = NOW.minus(Duration::from_mins(5));
        let methods = vec!["pwd".to_owned(), "otp".to_owned()];
        let payload = Authentication { at, methods }.into_claims();
        let recent = ClaimValidator::authenticated().max_age(Duration::from_mins(5));
        assert_eq!(reason(&recent, &payload), "");
        let stricter = ClaimValidator::authenticated().max_age(Duration::from_secs(299));
        let expired = r#"{"message":"expired","ageInSeconds":300,"maxAgeInSeconds":299}"#;
        assert_eq!(reason(&stricter, &payload), expired);
        let challenge = stricter.validate(&payload, NOW).unwrap().challenge.unwrap();
        assert_eq!(challenge.max_age, Some(Duration::from_secs(299)));
        assert_eq!(reason(&ClaimValidator::authenticated_by(["hwk", "otp"]), &payload), "");
        let by_key = ClaimValidator::authenticated_by(["hwk"]);
        let wrong = r#"{"message":"wrong value","expectedToIncludeAtLeastOneOf":["hwk"],"actualValue":["pwd","otp"]}"#;
        assert_eq!(reason(&by_key, &payload), wrong);
        assert_ne!(reason(&recent, &Map::new()), "");
    }
}
