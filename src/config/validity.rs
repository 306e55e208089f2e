//! From when until when a certificate is good, as X.509 says it (RFC 5280, 4.1.2.5). Nothing else of it is
//! read: whether it is a certificate was checked before.

/// Tags of DER.
const SEQUENCE: u8 = 0x30;
const VERSION: u8 = 0xa0;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

/// The time in which a certificate is good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Validity {
    /// Its first second.
    pub(super) from: Moment,
    /// Its last one.
    pub(super) until: Moment,
}

/// A second of the calendar, in UTC.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moment {
    /// In ms since 1970.
    pub ms: i64,
    /// As a log shows it.
    pub told: String,
}

/// What a clock says of a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// It is good.
    Good,
    /// It is not yet, but from then on.
    Early(Moment),
    /// It is not any more, since then.
    Expired(Moment),
}

impl Validity {
    /// Reads it from a certificate in DER; `None` where that says it in another way.
    #[must_use]
    pub(super) fn of(certificate: &[u8]) -> Option<Self> {
        let certificate = content(SEQUENCE, certificate)?.0;
        let mut fields = content(SEQUENCE, certificate)?.0;
        if fields.first() == Some(&VERSION) {
            fields = element(fields)?.2;
        }
        // Serial number, algorithm of the signature, issuer.
        for _ in 0..3 {
            fields = element(fields)?.2;
        }
        let times = content(SEQUENCE, fields)?.0;
        let (tag, from, rest) = element(times)?;
        let (until_tag, until, _) = element(rest)?;
        Some(Self { from: Moment::read(tag, from)?, until: Moment::read(until_tag, until)? })
    }

    /// What a clock says of it.
    #[must_use]
    pub(super) fn at(&self, wall_ms: i64) -> Standing {
        if wall_ms > self.until.ms {
            Standing::Expired(self.until.clone())
        } else if wall_ms < self.from.ms {
            Standing::Early(self.from.clone())
        } else {
            Standing::Good
        }
    }
}

impl Moment {
    /// Both ways to spell a time, each to the second and in UTC as RFC 5280 wants it.
    fn read(tag: u8, spelled: &[u8]) -> Option<Self> {
        let spelled = std::str::from_utf8(spelled).ok()?.strip_suffix('Z')?;
        let is_short = tag == UTC_TIME && spelled.len() == 12;
        let whole = match tag {
            // Two digits of the year: 50 and more were in the last century.
            UTC_TIME if is_short && spelled >= "5" => format!("19{spelled}"),
            UTC_TIME if is_short => format!("20{spelled}"),
            GENERALIZED_TIME if spelled.len() == 14 => spelled.to_owned(),
            _ => return None,
        };
        let part = |from: usize, to: usize| {
            let digits = whole.get(from..to)?;
            digits.bytes().all(|digit| digit.is_ascii_digit()).then_some(digits)
        };
        let (year, month, day) = (part(0, 4)?, part(4, 6)?, part(6, 8)?);
        let (hour, minute, second) = (part(8, 10)?, part(10, 12)?, part(12, 14)?);
        let number = |digits: &str| digits.parse::<i64>().ok();
        let days = days_since_1970(number(year)?, number(month)?, number(day)?)?;
        let seconds =
            [(days, 24), (number(hour)?, 60), (number(minute)?, 60), (number(second)?, 1_000)];
        let ms = seconds
            .into_iter()
            .try_fold(0_i64, |sum, (more, unit)| sum.checked_add(more)?.checked_mul(unit))?;
        Some(Self { ms, told: format!("{year}-{month}-{day}T{hour}:{minute}:{second}Z") })
    }
}

/// Days of the Gregorian calendar, with years that begin in March: the day that leap years have more is
/// their last one then.
#[expect(clippy::arithmetic_side_effects, reason = "numbers of four digits at most")]
fn days_since_1970(year: i64, month: i64, day: i64) -> Option<i64> {
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    // From 0000-03-01 to 1970-01-01.
    const TO_1970: i64 = 719_468;
    Some(year * 365 + leap_days + (month * 153 + 2) / 5 + day - 1 - TO_1970)
}

/// The content of an element of this tag, and what comes after it.
fn content(tag: u8, bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (found, content, rest) = element(bytes)?;
    (found == tag).then_some((content, rest))
}

/// The first element: its tag, its content, and what comes after it.
fn element(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (tag, rest) = bytes.split_first()?;
    let (first, rest) = rest.split_first()?;
    let (length, rest) = match first.checked_sub(0x80) {
        None => (usize::from(*first), rest),
        Some(digits) => {
            let (digits, rest) = rest.split_at_checked(usize::from(digits))?;
            let length = digits.iter().try_fold(0_usize, |length, digit| {
                length.checked_mul(256)?.checked_add(usize::from(*digit))
            })?;
            (length, rest)
        }
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((*tag, content, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(tag: u8, spelled: &str, expected: Option<(&str, i64)>) {
        let read = Moment::read(tag, spelled.as_bytes());
        let read = read.as_ref().map(|moment| (moment.told.as_str(), moment.ms));
        assert_eq!(read, expected, "{spelled}");
    }

    #[test]
    fn a_time_is_read_in_both_spellings_and_no_other() {
        check(UTC_TIME, "700101000000Z", Some(("1970-01-01T00:00:00Z", 0)));
        check(UTC_TIME, "240229235959Z", Some(("2024-02-29T23:59:59Z", 1_709_251_199_000)));
        check(UTC_TIME, "500301000000Z", Some(("1950-03-01T00:00:00Z", -626_054_400_000)));
        let forever = Some(("9999-12-31T23:59:59Z", 253_402_300_799_000));
        check(GENERALIZED_TIME, "99991231235959Z", forever);
        for wrong in ["", "Z", "2402292359Z", "240229235959", "240029235959Z", "24022923595xZ"] {
            check(UTC_TIME, wrong, None);
            check(GENERALIZED_TIME, wrong, None);
        }
        check(UTC_TIME, "99991231235959Z", None);
        check(0x04, "700101000000Z", None);
    }

    #[test]
    fn what_is_cut_off_says_nothing() {
        let whole = [0x30, 0x03, 0x30, 0x01, 0x05];
        for end in 0..=whole.len() {
            assert_eq!(Validity::of(&whole[..end]), None);
        }
        assert_eq!(Validity::of(&[0x30, 0xff]), None);
    }

    #[test]
    fn a_certificate_is_good_from_its_first_second_to_its_last() {
        let moment = |ms, told: &str| Moment { ms, told: told.to_owned() };
        let validity = Validity { from: moment(1_000, "a"), until: moment(2_000, "b") };
        assert_eq!(validity.at(999), Standing::Early(moment(1_000, "a")));
        assert_eq!([1_000, 2_000].map(|ms| validity.at(ms)), [Standing::Good, Standing::Good]);
        assert_eq!(validity.at(2_001), Standing::Expired(moment(2_000, "b")));
    }
}
