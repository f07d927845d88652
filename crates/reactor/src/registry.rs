//! Tokens: which registration an event belongs to.
//!
//! A token is a slot number with the generation of its tenant, so an event that was fetched
//! before its registration ended finds nobody, even when the slot has a new tenant.

use slab::Slab;

/// Names one registration; not reused for another before 2^32 more were made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Token(u64);

impl Token {
    fn new(slot: usize, generation: u32) -> Self {
        Self((generation as u64) << 32 | slot as u64)
    }

    fn slot(self) -> usize {
        (self.0 & u32::MAX as u64) as usize
    }

    fn generation(self) -> u32 {
        (self.0 >> 32) as u32
    }
}

impl From<Token> for u64 {
    fn from(token: Token) -> u64 {
        token.0
    }
}

impl From<u64> for Token {
    fn from(raw: u64) -> Self {
        Self(raw)
    }
}

/// The live registrations.
#[derive(Debug)]
pub struct Registry<T> {
    slots: Slab<(u32, T)>,
    generation: u32,
}

impl<T> Default for Registry<T> {
    fn default() -> Self {
        Self { slots: Slab::new(), generation: 0 }
    }
}

impl<T> Registry<T> {
    /// Adds a tenant.
    pub fn insert(&mut self, tenant: T) -> Token {
        self.generation = self.generation.wrapping_add(1);
        let slot = self.slots.insert((self.generation, tenant));
        Token::new(slot, self.generation)
    }

    /// The tenant, unless its registration has ended.
    #[inline]
    pub fn get(&self, token: Token) -> Option<&T> {
        match self.slots.get(token.slot()) {
            Some((generation, tenant)) if *generation == token.generation() => Some(tenant),
            _ => None,
        }
    }

    /// Ends a registration and gives the tenant back.
    pub fn remove(&mut self, token: Token) -> Option<T> {
        self.get(token)?;
        Some(self.slots.remove(token.slot()).1)
    }

    /// All tenants, in no particular order.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.slots.iter().map(|(_, (_, tenant))| tenant)
    }

    /// Ends all registrations.
    pub fn take_all(&mut self) -> Vec<T> {
        self.slots.drain().map(|(_, tenant)| tenant).collect()
    }

    /// How many registrations are live.
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Whether none is live.
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_finds_its_tenant_until_removed() {
        let mut registry = Registry::default();
        let token = registry.insert("tenant");
        assert_eq!(registry.get(token), Some(&"tenant"));
        assert_eq!(registry.remove(token), Some("tenant"));
        assert_eq!(registry.get(token), None);
        assert_eq!(registry.remove(token), None);
    }

    #[test]
    fn a_stale_token_does_not_find_the_next_tenant_of_its_slot() {
        let mut registry = Registry::default();
        let stale = registry.insert(1);
        registry.remove(stale);
        let fresh = registry.insert(2);
        assert_eq!(stale.slot(), fresh.slot());
        assert_eq!(registry.get(stale), None);
        assert_eq!(registry.get(fresh), Some(&2));
    }

    #[test]
    fn a_token_survives_the_kernel_as_a_number() {
        let mut registry = Registry::default();
        let token = registry.insert(());
        assert_eq!(Token::from(u64::from(token)), token);
    }
}
