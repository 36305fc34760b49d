//! How loud sound is.

/// Root mean square, full scale 32767.
#[must_use]
pub fn rms(samples: &[i16]) -> f64 {
    let energy: f64 = samples.iter().map(|s| f64::from(*s).powi(2)).sum();
    let count = u32::try_from(samples.len()).unwrap_or(u32::MAX).max(1);
    (energy / f64::from(count)).sqrt()
}

/// Level in dBov (RFC 6464): 0 is full scale, speech is near -26; -127 at the lowest.
#[must_use]
pub fn dbov(samples: &[i16]) -> f64 {
    let level = 20.0 * (rms(samples) / f64::from(i16::MAX)).log10();
    level.clamp(-127.0, 0.0)
}

/// Whether sound is louder than `threshold` (root mean square, full scale 32767).
#[must_use]
pub fn is_louder(samples: &[i16], threshold: u16) -> bool {
    rms(samples) > f64::from(threshold)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tone::sine;

    #[test]
    fn levels_of_known_sound() {
        assert!(dbov(&[i16::MAX; 160]).abs() < 0.001);
        assert!((dbov(&[i16::MIN; 160])).abs() < 0.001, "clamped");
        assert!((dbov(&sine(1000.0, 32_767.0, 8000, 160)) + 3.01).abs() < 0.01);
        assert!((dbov(&[0; 160]) + 127.0).abs() < 0.001);
        assert!((dbov(&[]) + 127.0).abs() < 0.001);
        assert!(is_louder(&[-151; 160], 150) && !is_louder(&[150; 160], 150));
        assert!(!is_louder(&[], 0));
    }
}
