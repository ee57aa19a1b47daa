//! What it costs by list prices: Sesam, a Node authorizer with a core and a database that are always on, Cognito.

use crate::report::{Section, table};

/// US dollars.
type Dollars = f64;

const MILLION: f64 = 1e6;
/// Hours of a month, as AWS counts.
const HOURS: f64 = 730.0;

/// AWS's list prices in us-east-1 without free tiers, as docs/cost.md has them of AWS's pages, September 2026.
mod price {
    use super::Dollars;

    /// A million requests to an HTTP API (Amazon API Gateway pricing).
    pub const HTTP_API: Dollars = 1.00;
    /// A million invocations (AWS Lambda pricing).
    pub const INVOCATIONS: Dollars = 0.20;
    /// A GB-second on arm64 (AWS Lambda pricing).
    pub const GB_SECOND: Dollars = 0.000_013_333_4;
    /// A million write units on demand (Amazon DynamoDB pricing).
    pub const WRITES: Dollars = 0.625;
    /// A GB stored for a month, with recovery to a point in time (Amazon DynamoDB pricing).
    pub const STORED_GB: Dollars = 0.25 + 0.20;
    /// A GB of logs (Amazon CloudWatch pricing).
    pub const LOGS_GB: Dollars = 0.50;
    /// 10 alarms, 14 metrics, a dashboard (Amazon CloudWatch pricing, docs/cost.md).
    pub const IDLE_STACK: Dollars = 8.20;
    /// A user who was active in the month, beyond the first 10,000: plan Essentials (Amazon Cognito pricing).
    pub const COGNITO_USER: Dollars = 0.015;

    /// An hour of an EC2 instance t4g.small: AWS's price as it is known; no page of today was found.
    pub const CORE_HOUR: Dollars = 0.0168;
    /// An hour of an Application Load Balancer, without capacity units, as AWS's page had it on 2026-09-20.
    /// <https://raw.githubusercontent.com/api-evangelist/amazon-elastic-load-balancing/refs/heads/main/plans/amazon-elastic-load-balancing-plans-pricing.yml>, read 2026-11-28.
    pub const BALANCER_HOUR: Dollars = 0.0225;
    /// An hour of PostgreSQL on db.t4g.micro, in one zone.
    /// <https://infratally.com/articles/aws-rds-pricing-explained-2026.html>, read 2026-11-28.
    pub const DATABASE_HOUR: Dollars = 0.016;
    /// An hour of PostgreSQL on db.t4g.small, in two zones; the same page.
    pub const TWO_ZONES_HOUR: Dollars = 0.064;
    /// A GB of gp3 for a month; twice in two zones.
    /// <https://www.usage.ai/blogs/aws/reserved-instances/rds/pricing-calculator/>, read 2026-11-28.
    pub const DISK_GB: Dollars = 0.115;
}

/// Users of Cognito that are free.
const COGNITO_FREE: f64 = 10_000.0;
/// Disk of the database, in GB: the least that there is.
const DISK: f64 = 20.0;
/// One session in the table, in GB.
const SESSION_GB: f64 = 0.8e-6;
/// A log line of a refresh, in GB for a million.
const LOG_LINES: f64 = 0.2;
/// Memory of a function, in GB.
const MEMORY: f64 = 0.25;

/// A million verifications by a Lambda authorizer, 5 ms each.
fn million_verifications() -> Dollars {
    price::INVOCATIONS + 0.005 * MEMORY * price::GB_SECOND * MILLION
}

/// A million requests to a function that waits for a table or a core: 20 ms each, a log line each.
fn million_calls() -> Dollars {
    let run_time = 0.020 * MEMORY * price::GB_SECOND * MILLION;
    price::HTTP_API + price::INVOCATIONS + run_time + LOG_LINES * price::LOGS_GB
}

/// A million refreshes.
fn million_refreshes() -> Dollars {
    million_calls() + price::WRITES
}

/// What keeps sessions.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Keeper {
    /// Sesam, with its authorizer.
    Sesam,
    /// A Node authorizer, and a core and a database of the smallest kind, one of each.
    SmallCore,
    /// The same, with a second core, a load balancer, and a database in two zones.
    SafeCore,
    /// Cognito, with the authorizer that HTTP APIs have for JWTs, which is free.
    Cognito,
}

impl Keeper {
    const ALL: [(Self, &str); 4] = [
        (Self::Sesam, "**Sesam**"),
        (Self::SmallCore, "Node, one core, one small database"),
        (Self::SafeCore, "Node, two cores, database in two zones"),
        (Self::Cognito, "Cognito, Essentials"),
    ];

    /// A million verifications.
    pub fn verifications(self) -> Dollars {
        match self {
            Self::Sesam | Self::SmallCore | Self::SafeCore => million_verifications(),
            Self::Cognito => 0.0,
        }
    }

    /// A million refreshes, beside what is always on.
    pub fn refreshes(self) -> Dollars {
        match self {
            Self::Sesam => million_refreshes(),
            Self::SmallCore | Self::SafeCore => million_calls(),
            Self::Cognito => 0.0,
        }
    }

    /// A month in which nobody is there.
    pub fn idle(self) -> Dollars {
        match self {
            Self::Sesam => price::IDLE_STACK,
            Self::SmallCore => {
                HOURS * (price::CORE_HOUR + price::DATABASE_HOUR) + DISK * price::DISK_GB
            }
            Self::SafeCore => {
                let hour = 2.0 * price::CORE_HOUR + price::BALANCER_HOUR + price::TWO_ZONES_HOUR;
                HOURS * hour + 2.0 * DISK * price::DISK_GB
            }
            Self::Cognito => 0.0,
        }
    }

    /// A month of so many users: each has one session, is there on 20 days, refreshes 3 times a day, and makes 100
    /// protected requests a day.
    pub fn month(self, users: f64) -> Dollars {
        let used = match self {
            Self::Sesam => users * SESSION_GB * price::STORED_GB,
            Self::SmallCore | Self::SafeCore => 0.0,
            Self::Cognito => (users - COGNITO_FREE).max(0.0) * price::COGNITO_USER,
        };
        let millions = users * 20.0 / MILLION;
        self.idle() + used + millions * (3.0 * self.refreshes() + 100.0 * self.verifications())
    }
}

/// The tables of the page.
pub fn measure() -> anyhow::Result<Section> {
    let mut section = Section::new("cost");
    let dollars = |dollars: Dollars| format!("{dollars:.2}");
    let rows = Keeper::ALL.map(|(keeper, name)| {
        let columns = [keeper.verifications(), keeper.refreshes(), keeper.idle()].map(dollars);
        let [verifications, refreshes, idle] = columns;
        let months = [1e4, 1e5, 1e6].map(|users| format!("{:.0}", keeper.month(users)));
        let [small, middle, large] = months;
        [name.to_owned(), verifications, refreshes, idle, small, middle, large]
    });
    let head = [
        "US dollars",
        "Million verifications",
        "Million refreshes",
        "Idle month",
        "10,000 users",
        "100,000 users",
        "1 million users",
    ];
    section.text(&table(head, rows.into()));
    section.figure("cost.verifications", Keeper::Sesam.verifications());
    section.figure("cost.refreshes", Keeper::Sesam.refreshes());
    section.figure("cost.million_users", Keeper::Sesam.month(1e6));
    section.figure("cost.million_users.core", Keeper::SafeCore.month(1e6));
    section.figure("cost.million_users.cognito", Keeper::Cognito.month(1e6));
    Ok(section)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cents(dollars: Dollars) -> i64 {
        (dollars * 100.0).round() as i64
    }

    #[test]
    fn sums_are_those_of_the_documentation_of_costs() {
        let text = include_str!("../../docs/cost.md");
        let sums = [Keeper::Sesam.refreshes(), Keeper::Sesam.verifications()];
        assert_eq!(sums.map(cents), [199, 22]);
        for sum in ["**1.99**", "**0.22**", "**64.18**"] {
            assert!(text.contains(sum), "{sum}");
        }
        // There each price is rounded before it is multiplied.
        assert!((Keeper::Sesam.month(1e5) - 64.18).abs() < 1.0);
    }

    #[test]
    fn what_is_always_on_is_paid_by_the_hour() {
        assert_eq!(cents(Keeper::SmallCore.idle()), 2_624);
        assert_eq!(cents(Keeper::SafeCore.idle()), 9_227);
        assert_eq!(cents(Keeper::Cognito.idle()), 0);
    }

    #[test]
    fn cognito_is_free_up_to_a_number_of_users() {
        let months = [9_000.0, 10_000.0, 10_001.0, 1e6].map(|users| Keeper::Cognito.month(users));
        assert_eq!(months.map(cents), [0, 0, 2, 1_485_000]);
    }

    #[test]
    fn a_month_without_users_is_an_idle_one() {
        for (keeper, name) in Keeper::ALL {
            assert_eq!(keeper.month(0.0), keeper.idle(), "{name}");
        }
    }
}
