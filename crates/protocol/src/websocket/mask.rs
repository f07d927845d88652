//! Masking (RFC 6455 section 5.3).

/// Removes the mask from the next bytes of a payload, in place; `key` comes out turned, so that
/// it fits the bytes that follow.
#[inline]
pub(super) fn unmask(data: &mut [u8], key: &mut [u8; 4]) {
    let [a, b, c, d] = *key;
    // As blocks of 16 the compiler makes vector instructions of it.
    let wide = u128::from_ne_bytes([a, b, c, d, a, b, c, d, a, b, c, d, a, b, c, d]);
    let (blocks, tail) = data.as_chunks_mut::<16>();
    for block in blocks {
        *block = (u128::from_ne_bytes(*block) ^ wide).to_ne_bytes();
    }
    for (byte, key) in tail.iter_mut().zip(key.iter().cycle()) {
        *byte ^= key;
    }
    key.rotate_left(tail.len() % 4);
}
