//! The state machine of all rotations.

/// A cron line with its time zone.
#[derive(Clone, Debug)]
pub struct CronLine {
    text: String,
    cron: croner::Cron,
    zone: jiff::tz::TimeZone,
}

impl PartialEq for CronLine {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text && self.zone == other.zone
    }
}

impl CronLine {
    /// `line` is a five-field cron line, `zone` an IANA name. The error says which of the two is wrong and why.
    pub fn parse(line: &str, zone: &str) -> Result<Self, CronMistake> {
        let cron = line.parse().map_err(|e: croner::errors::CronError| CronMistake::Line(e.to_string()))?;
        let zone_ = jiff::tz::TimeZone::get(zone).map_err(|_| CronMistake::Zone)?;
        Ok(Self { text: line.to_owned(), cron, zone: zone_ })
    }
}

/// Why a cron line could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CronMistake {
    Line(String),
    Zone,
}
