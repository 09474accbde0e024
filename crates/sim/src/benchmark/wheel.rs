//! What is due, in steps of time.

/// Things due at steps, handed out step by step.
#[derive(Debug)]
pub(super) struct Wheel<T> {
    steps: Vec<Vec<T>>,
    /// Steps after this one never come.
    last: usize,
    waiting: usize,
}

impl<T> Wheel<T> {
    pub(super) const fn new(last: u64) -> Self {
        Self { steps: Vec::new(), last: last as usize, waiting: 0 }
    }

    /// Puts something at a step; beyond the last one it is forgotten.
    pub(super) fn put(&mut self, step: u64, thing: T) {
        let step = step as usize;
        if step > self.last {
            return;
        }
        if step >= self.steps.len() {
            self.steps.resize_with(step + 1, Vec::new);
        }
        self.steps[step].push(thing);
        self.waiting += 1;
    }

    /// Takes what is due at a step.
    pub(super) fn take(&mut self, step: u64) -> Vec<T> {
        let due = self.steps.get_mut(step as usize).map(std::mem::take).unwrap_or_default();
        self.waiting -= due.len();
        due
    }

    /// The first step from that one on that has something.
    pub(super) fn next(&self, from: u64) -> Option<u64> {
        if self.waiting == 0 {
            return None;
        }
        let from = from as usize;
        let steps = self.steps.get(from..)?;
        steps.iter().position(|due| !due.is_empty()).map(|at| (from + at) as u64)
    }

    /// Everything that is due, with its step.
    pub(super) fn due(&self) -> impl Iterator<Item = (u64, &T)> {
        let steps = (0..).zip(&self.steps);
        steps.flat_map(|(step, due)| due.iter().map(move |thing| (step, thing)))
    }

    /// Whether nothing is due any more.
    pub(super) const fn is_empty(&self) -> bool {
        self.waiting == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn things_come_when_they_are_due() {
        let mut wheel = Wheel::new(10);
        for (step, thing) in [(3, 'b'), (1, 'a'), (3, 'c'), (11, 'd')] {
            wheel.put(step, thing);
        }
        assert_eq!(wheel.next(0), Some(1));
        assert_eq!(wheel.take(1), ['a']);
        assert_eq!(wheel.next(2), Some(3));
        assert_eq!(wheel.take(3), ['b', 'c']);
        assert_eq!(wheel.take(3), []);
        assert!(wheel.is_empty());
        assert_eq!(wheel.next(0), None);
    }
}
