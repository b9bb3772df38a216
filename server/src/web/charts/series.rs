//! What is done to a series before it is drawn: thinning and smoothing.

use super::Scale;

/// Thins a series, sorted by x, to at most `limit` points and keeps its extremes: of each bin along the displayed scale the lowest
/// and the highest point, and the first and last point of all.
///
/// The bins are anchored to the data's own coordinates and their width is a power of two, so they do not move when points arrive;
/// only when the range has doubled do two become one.
pub(crate) fn thinned(points: &[(f64, f64)], scale: Scale, limit: usize) -> Vec<(f64, f64)> {
    let (Some(first), Some(last)) = (points.first(), points.last()) else { return Vec::new() };
    in_bins(points, scale, limit, (first.0, last.0))
}

/// The same of the points between two places, for a part that is looked at close up: the bins are those places', so that a bin which is
/// complete stays as it is whatever arrives after it.
pub(crate) fn thinned_within(
    points: &[(f64, f64)],
    scale: Scale,
    limit: usize,
    span: Option<(f64, f64)>,
) -> Vec<(f64, f64)> {
    let Some((from, to)) = span else { return thinned(points, scale, limit) };
    let begin = points.partition_point(|point| point.0 < from);
    let end = points.partition_point(|point| point.0 <= to);
    let inside = points.get(begin..end).unwrap_or_default();
    // A logarithmic axis has no zero.
    let from = if scale.holds(from) { from } else { inside.first().map_or(from, |point| point.0) };
    in_bins(inside, scale, limit, (from, to))
}

fn in_bins(points: &[(f64, f64)], scale: Scale, limit: usize, (from, to): (f64, f64)) -> Vec<(f64, f64)> {
    let (Some(first), Some(last)) = (points.first(), points.last()) else { return Vec::new() };
    if points.len() <= limit {
        return points.to_vec();
    }
    let bins = (limit.saturating_sub(2) / 2).max(1) as f64;
    let range = scale.position(to) - scale.position(from);
    // Bins that start anywhere cover the range with one more than its length asks for.
    let width = 2f64.powf((range / (bins - 1.0).max(1.0)).log2().ceil());
    if !width.is_finite() || width <= 0.0 {
        return vec![*first, *last];
    }
    let bin = |point: &(f64, f64)| (scale.position(point.0) / width).floor();
    let mut kept = vec![*first];
    for chunk in points.chunk_by(|a, b| bin(a) == bin(b)) {
        let lowest = extreme(chunk, |a, b| a < b);
        let highest = extreme(chunk, |a, b| a > b);
        kept.push(chunk[lowest.min(highest)]);
        if lowest != highest {
            kept.push(chunk[lowest.max(highest)]);
        }
    }
    kept.push(*last);
    kept.dedup();
    kept
}

fn extreme(chunk: &[(f64, f64)], better: fn(f64, f64) -> bool) -> usize {
    (1..chunk.len()).fold(0, |best, i| if better(chunk[i].1, chunk[best].1) { i } else { best })
}

/// Largest half-life of the smoothing for a run of so many updates: a power of two, so that it changes only when the run has doubled.
pub(crate) fn half_life(updates: usize) -> usize {
    match updates / 64 {
        0 => 1,
        n => 1 << n.ilog2(),
    }
}

/// Exponential moving average, corrected for its start as Adam corrects its moments (Kingma & Ba 2015, §3).
///
/// The half-life grows with the update, one part in 32 of it, up to the given one: on a logarithmic axis a fixed one would lag
/// behind the steep beginning by a visible distance.
pub(crate) fn smoothed(points: &[(f64, f64)], half_life: usize) -> Vec<(f64, f64)> {
    let (mut sum, mut weight) = (0.0, 0.0);
    points
        .iter()
        .enumerate()
        .map(|(i, &(x, y))| {
            let own = (i as f64 / 32.0).clamp(1.0, half_life.max(1) as f64);
            let keep = 0.5f64.powf(1.0 / own);
            sum = keep * sum + (1.0 - keep) * y;
            weight = keep * weight + (1.0 - keep);
            (x, sum / weight)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn curve(n: usize) -> Vec<(f64, f64)> {
        let spike = |i: usize| if i == 12_345 { 50.0 } else { 0.0 };
        (1..=n).map(|i| (i as f64, 10.0 / (i as f64).sqrt() + spike(i))).collect()
    }

    #[test]
    fn thinning_bounds_the_number_and_keeps_spikes_and_ends() {
        for scale in [Scale::Linear, Scale::Log] {
            let points = curve(100_000);
            let kept = thinned(&points, scale, 2000);
            assert!(kept.len() <= 2000 && kept.len() > 100, "{scale:?}: {}", kept.len());
            assert_eq!((kept.first(), kept.last()), (points.first(), points.last()));
            assert!(kept.contains(&points[12_344]), "{scale:?}: the spike is gone");
            assert!(kept.windows(2).all(|w| w[0].0 <= w[1].0), "{scale:?}: not in order");
        }
    }

    #[test]
    fn points_drawn_already_stay_where_they_are_when_more_arrive() {
        let (before, after) =
            (thinned(&curve(90_000), Scale::Linear, 2000), thinned(&curve(90_500), Scale::Linear, 2000));
        let same = before.iter().filter(|p| after.contains(p)).count();
        assert!(same + 2 >= before.len(), "{same} of {} stayed", before.len());
    }

    #[test]
    fn close_up_no_bin_changes_when_points_arrive() {
        let span = Some((20_000.0, 120_000.0));
        for scale in [Scale::Linear, Scale::Log] {
            let of = |n: usize| thinned_within(&curve(n), scale, 500, span);
            let whole = of(120_000);
            assert!((200..=502).contains(&whole.len()), "{scale:?}: {}", whole.len());
            assert!(whole.iter().all(|point| (20_000.0..=120_000.0).contains(&point.0)));
            for n in [60_000, 60_001, 90_000, 119_999] {
                let before = of(n);
                // The last bin was not complete, and the last point of all is drawn whatever it is.
                let settled = before.len() - 3;
                assert_eq!(before[..settled], whole[..settled], "{scale:?}: {n}");
            }
        }
        assert_eq!(thinned_within(&curve(100), Scale::Log, 500, Some((0.0, 3.0))).len(), 3, "no zero on it");
        assert!(thinned_within(&curve(100), Scale::Linear, 500, Some((200.0, 300.0))).is_empty());
    }

    #[test]
    fn smoothing_starts_at_the_first_value_and_keeps_a_constant() {
        let flat: Vec<(f64, f64)> = (0..10).map(|i| (f64::from(i), 3.0)).collect();
        assert!(smoothed(&flat, 4).iter().all(|p| (p.1 - 3.0).abs() < 1e-12));
        let falling = smoothed(&curve(100), 8);
        assert_eq!(falling[0], (1.0, 10.0));
        assert!(falling.windows(2).all(|w| w[1].1 < w[0].1));
        assert_eq!([half_life(10), half_life(640), half_life(1000), half_life(417_233)], [1, 8, 8, 4096]);
    }
}
