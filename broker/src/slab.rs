//! Things with a number each, where joining and leaving take the same short time however many there are.

/// Places that are used again; never larger than the most that were in it at one time.
#[derive(Debug)]
pub(crate) struct Slab<T> {
    places: Vec<Option<T>>,
    free: Vec<u32>,
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Self {
            places: Vec::new(),
            free: Vec::new(),
        }
    }
}

impl<T> Slab<T> {
    /// Puts it in; the number takes it out again.
    ///
    /// # Panics
    /// With 2^32 things in it.
    pub(crate) fn insert(&mut self, thing: T) -> u32 {
        if let Some(number) = self.free.pop()
            && let Some(place) = self.places.get_mut(number as usize)
        {
            *place = Some(thing);
            return number;
        }
        let number = u32::try_from(self.places.len()).expect("fewer than 2^32 are in it");
        self.places.push(Some(thing));
        number
    }

    pub(crate) fn remove(&mut self, number: u32) -> Option<T> {
        let thing = self.places.get_mut(number as usize)?.take();
        if thing.is_some() {
            self.free.push(number);
        }
        thing
    }

    pub(crate) fn get(&self, number: u32) -> Option<&T> {
        self.places.get(number as usize)?.as_ref()
    }

    pub(crate) fn len(&self) -> usize {
        self.places.len() - self.free.len()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.places.iter().flatten()
    }

    /// Each with its number.
    pub(crate) fn numbered(&self) -> impl Iterator<Item = (u32, &T)> {
        (0..)
            .zip(&self.places)
            .filter_map(|(number, place)| Some((number, place.as_ref()?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_used_again() {
        let mut slab = Slab::default();
        let (a, b) = (slab.insert('a'), slab.insert('b'));
        assert_eq!((a, b), (0, 1));
        assert_eq!(slab.remove(a), Some('a'));
        assert_eq!(slab.remove(a), None);
        assert_eq!(slab.remove(9), None);
        assert_eq!(slab.insert('c'), a);
        assert_eq!(slab.iter().collect::<String>(), "cb");
        assert_eq!(slab.remove(a), Some('c'));
        assert_eq!(slab.numbered().collect::<Vec<_>>(), [(b, &'b')]);
        assert_eq!(slab.insert('c'), a);
        assert_eq!((slab.len(), slab.get(b)), (2, Some(&'b')));
        assert_eq!(slab.remove(b), Some('b'));
        assert_eq!((slab.get(9), slab.get(b)), (None, None));
    }
}
