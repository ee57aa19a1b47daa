//! The hot paths, for `scripts/instructions` to count what they execute: without arguments their names; with a name, and
//! how often it runs before it counts so that what is made once has been made, one of them.
//!
//! Nothing in them depends on the clock, on chance or on a table.

mod operations;

use operations::ALL;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let Some(wanted) = arguments.next() else {
        return ALL.iter().for_each(|(name, _)| println!("{name}"));
    };
    let warm_ups: usize = arguments.next().unwrap().parse().unwrap();
    let (_, prepare) = ALL.iter().find(|(name, _)| *name == wanted).unwrap();
    let mut operation = prepare();
    (0..warm_ups).for_each(|_| operation());
    counted(&mut *operation);
}

/// What is executed from here on is counted, by this name.
#[inline(never)]
fn counted(operation: &mut dyn FnMut()) {
    operation();
}
