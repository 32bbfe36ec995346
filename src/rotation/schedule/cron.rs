//! Cron lines: wall-clock times in a time zone, as part of the plan.

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// A five-field cron line with its time zone.
#[derive(Clone)]
pub struct CronLine {
    line: String,
    cron: croner::Cron,
    zone: TimeZone,
}

impl CronLine {
    /// `line` is a five-field cron line, `zone` an IANA name such as `Europe/Berlin`.
    pub fn parse(line: &str, zone: &str) -> Result<Self, CronMistake> {
        let cron = croner::parser::CronParser::builder()
            .seconds(croner::parser::Seconds::Disallowed)
            .build()
            .parse(line)
            .map_err(|e| CronMistake::Line(e.to_string()))?;
        let zone = TimeZone::get(zone).map_err(|_| CronMistake::Zone)?;
        Ok(Self { line: line.to_owned(), cron, zone })
    }

    /// The first tick strictly after `instant`; `None` if the line has none (30 February).
    ///
    /// Over a daylight-saving change a skipped local time runs at the change, a repeated one once.
    #[must_use]
    pub fn next_after(&self, instant: Timestamp) -> Option<Timestamp> {
        let local = instant.to_zoned(self.zone.clone());
        self.cron.find_next_occurrence(&local, false).ok().map(|tick| tick.timestamp())
    }
}

impl PartialEq for CronLine {
    fn eq(&self, other: &Self) -> bool {
        self.line == other.line && self.zone == other.zone
    }
}

impl std::fmt::Debug for CronLine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({})", self.line, self.zone.iana_name().unwrap_or("UTC"))
    }
}

/// Why a cron line could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CronMistake {
    Line(String),
    Zone,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ticks(line: &str, zone: &str, after: &str, count: usize) -> Vec<String> {
        let cron = CronLine::parse(line, zone).unwrap();
        let mut instant: Timestamp = after.parse().unwrap();
        (0..count)
            .map(|_| {
                instant = cron.next_after(instant).unwrap();
                instant.to_string()
            })
            .collect()
    }

    #[test]
    fn a_nightly_line_follows_local_time_over_both_changes() {
        assert_eq!(
            ticks("0 3 * * *", "Europe/Berlin", "2026-03-28T01:00:00Z", 3),
            ["2026-03-28T02:00:00Z", "2026-03-29T01:00:00Z", "2026-03-30T01:00:00Z"]
        );
        assert_eq!(
            ticks("0 3 * * *", "Europe/Berlin", "2026-10-24T00:00:00Z", 3),
            ["2026-10-24T01:00:00Z", "2026-10-25T02:00:00Z", "2026-10-26T02:00:00Z"]
        );
    }

    #[test]
    fn a_local_time_that_is_skipped_runs_at_the_change_and_a_repeated_one_runs_once() {
        assert_eq!(
            ticks("30 2 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z", 2),
            ["2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"]
        );
        assert_eq!(
            ticks("30 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z", 2),
            ["2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"]
        );
    }

    #[test]
    fn mistakes_say_whether_line_or_zone_is_wrong() {
        assert_eq!(CronLine::parse("0 3 * * *", "Europe/Berln"), Err(CronMistake::Zone));
        assert!(matches!(CronLine::parse("0 25 * * *", "UTC"), Err(CronMistake::Line(_))));
        assert!(matches!(CronLine::parse("0 0 3 * * *", "UTC"), Err(CronMistake::Line(_))));
    }

    #[test]
    fn a_line_without_ticks_has_no_next() {
        let never = CronLine::parse("0 0 30 2 *", "UTC").unwrap();
        assert_eq!(never.next_after(Timestamp::UNIX_EPOCH), None);
    }
}
