//! The year the data is about: 2025, which has 365 days, a Wednesday for its first, and the seven holidays a ticket office keeps.

pub const YEAR: u32 = 2025;
pub const DAYS: u32 = 365;
/// `dateid` of 1 January.
pub const FIRST_DATE_ID: u32 = 4001;
/// Seconds of a day.
pub const DAY_S: u32 = 86_400;

const MONTH_DAYS: [u32; 12] = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
/// Month and day: New Year, Martin Luther King, Memorial, Independence, Labor, Thanksgiving, Christmas.
const HOLIDAYS: [(u32, u32); 7] = [(1, 1), (1, 20), (5, 26), (7, 4), (9, 1), (11, 27), (12, 25)];

/// A day of the year, 0 for 1 January.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Day(pub u32);

impl Day {
    pub fn date_id(self) -> u32 {
        FIRST_DATE_ID + self.0
    }

    /// Month and day of month, both from 1.
    pub fn month_and_day(self) -> (u32, u32) {
        let mut day = self.0;
        for (month, days) in (1..).zip(MONTH_DAYS) {
            if day < days {
                return (month, day + 1);
            }
            day -= days;
        }
        (12, 31)
    }

    /// Weeks of seven days counted from 1 January, from 1 to 53.
    pub fn week(self) -> u32 {
        self.0 / 7 + 1
    }

    /// 0 for Monday.
    pub fn weekday(self) -> u32 {
        (self.0 + 2) % 7
    }

    pub fn is_holiday(self) -> bool {
        HOLIDAYS.contains(&self.month_and_day())
    }
}

/// A second of the year, 0 for its first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(pub u32);

impl Moment {
    pub fn on(day: Day, second: u32) -> Self {
        Self(day.0 * DAY_S + second)
    }

    pub fn day(self) -> Day {
        Day(self.0 / DAY_S)
    }

    /// Hour, minute, second.
    pub fn clock(self) -> (u32, u32, u32) {
        let second = self.0 % DAY_S;
        (second / 3600, second / 60 % 60, second % 60)
    }
}
