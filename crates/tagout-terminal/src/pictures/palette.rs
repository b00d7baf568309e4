//! The few colours that stand for all of a picture.
use std::collections::BTreeMap;

use super::Picture;

/// The most colours that every terminal with sixel has.
const MOST: usize = 256;

/// A picture in a palette's colours.
pub(super) struct Indexed {
    pub(super) palette: Vec<[u8; 3]>,
    /// The colour of each dot, row by row.
    pub(super) dots: Vec<u8>,
}

/// The picture in at most 256 colours: its own, where it has no more; otherwise some that are near,
/// mixed by dithering.
pub(super) fn indexed(picture: &Picture) -> Indexed {
    exact(picture).unwrap_or_else(|| dithered(picture))
}

fn exact(picture: &Picture) -> Option<Indexed> {
    let mut known = BTreeMap::new();
    let mut palette = Vec::new();
    let mut dots = Vec::with_capacity(picture.dots.len());
    for dot in &picture.dots {
        let index = match known.get(dot) {
            Some(index) => *index,
            None => {
                let index = u8::try_from(palette.len()).ok()?;
                palette.push(*dot);
                known.insert(*dot, index);
                index
            }
        };
        dots.push(index);
    }
    Some(Indexed { palette, dots })
}

/// How often a colour is there, with five bits a part.
type Count = ([u8; 3], u64);

const fn rough(dot: [u8; 3]) -> [u8; 3] {
    let [red, green, blue] = dot;
    [red >> 3, green >> 3, blue >> 3]
}

/// Median cut: the box of colours that spreads most is halved until there are enough.
fn boxes(picture: &Picture) -> Vec<Vec<Count>> {
    let mut counts: BTreeMap<[u8; 3], u64> = BTreeMap::new();
    for dot in &picture.dots {
        *counts.entry(rough(*dot)).or_default() += 1;
    }
    let mut boxes = vec![counts.into_iter().collect::<Vec<Count>>()];
    while boxes.len() < MOST {
        let weight = |colours: &Vec<Count>| {
            let count: u64 = colours.iter().map(|(_, count)| count).sum();
            u64::from(widest(colours).1) * count
        };
        let most = (0..boxes.len()).max_by_key(|n| boxes.get(*n).map(weight));
        let Some(most) = most.filter(|n| boxes.get(*n).is_some_and(|b| b.len() > 1)) else { break };
        let mut low = boxes.swap_remove(most);
        let (part, _) = widest(&low);
        low.sort_by_key(|(colour, _)| colour.get(part).copied());
        let half: u64 = low.iter().map(|(_, count)| count).sum::<u64>() / 2;
        let mut sum = 0;
        let under = low.iter().take_while(|(_, count)| {
            sum += count;
            sum <= half
        });
        let at = under.count().clamp(1, low.len() - 1);
        let high = low.split_off(at);
        boxes.extend([low, high]);
    }
    boxes
}

/// In which part the colours differ most, and how much.
fn widest(colours: &[Count]) -> (usize, u8) {
    let spread = |part: usize| {
        let parts = || colours.iter().filter_map(|(colour, _)| colour.get(part).copied());
        parts().max().unwrap_or(0) - parts().min().unwrap_or(0)
    };
    (0..3).map(|part| (part, spread(part))).max_by_key(|(_, spread)| *spread).unwrap_or_default()
}

fn dithered(picture: &Picture) -> Indexed {
    let boxes = boxes(picture);
    let palette: Vec<_> = boxes.iter().map(|colours| middle(colours)).collect();
    let mut nearest: BTreeMap<[u8; 3], u8> = BTreeMap::new();
    let mut dots = Vec::with_capacity(picture.dots.len());
    // Floyd and Steinberg: what a dot is wrong by goes to its neighbours, in sixteenths.
    let mut below = vec![[0_i32; 3]; picture.width + 2];
    for row in picture.rows() {
        let mut errors = std::mem::replace(&mut below, vec![[0; 3]; picture.width + 2]);
        for (x, dot) in row.iter().enumerate() {
            let error = errors.get(x + 1).copied().unwrap_or_default();
            let wanted = add(*dot, error);
            let key = rough(wanted);
            let index = *nearest.entry(key).or_insert_with(|| find(&palette, wanted));
            let shown = palette.get(usize::from(index)).copied().unwrap_or_default();
            spread(&mut errors, x + 2, wanted, shown, 7);
            for (at, sixteenths) in [(x, 3), (x + 1, 5), (x + 2, 1)] {
                spread(&mut below, at, wanted, shown, sixteenths);
            }
            dots.push(index);
        }
    }
    Indexed { palette, dots }
}

fn spread(to: &mut [[i32; 3]], at: usize, wanted: [u8; 3], shown: [u8; 3], sixteenths: i32) {
    for (error, (wanted, shown)) in
        to.get_mut(at).into_iter().flatten().zip(wanted.iter().zip(shown))
    {
        *error += (i32::from(*wanted) - i32::from(shown)) * sixteenths;
    }
}

fn add(dot: [u8; 3], error: [i32; 3]) -> [u8; 3] {
    let mut out = dot;
    for (part, error) in out.iter_mut().zip(error) {
        let sum = (i32::from(*part) + error / 16).clamp(0, 255);
        *part = u8::try_from(sum).unwrap_or(u8::MAX);
    }
    out
}

fn find(palette: &[[u8; 3]], wanted: [u8; 3]) -> u8 {
    let distance = |colour: &[u8; 3]| -> u32 {
        let parts = colour.iter().zip(wanted);
        parts.map(|(one, other)| u32::from(one.abs_diff(other)).pow(2)).sum()
    };
    let nearest = palette.iter().enumerate().min_by_key(|(_, colour)| distance(colour));
    nearest.and_then(|(n, _)| u8::try_from(n).ok()).unwrap_or(0)
}

/// The mean of a box, in eight bits a part.
fn middle(colours: &[Count]) -> [u8; 3] {
    let total: u64 = colours.iter().map(|(_, count)| count).sum();
    let mut out = [0; 3];
    for (n, part) in out.iter_mut().enumerate() {
        let weighted = colours.iter().filter_map(|(colour, count)| {
            // Five bits as eight: white stays white.
            colour.get(n).map(|part| u64::from(*part << 3 | *part >> 2) * count)
        });
        *part = u8::try_from(weighted.sum::<u64>() / total.max(1)).unwrap_or(u8::MAX);
    }
    out
}
