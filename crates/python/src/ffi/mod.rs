//! Raw calls into the C API: the only `unsafe` of this crate.
//!
//! | module | what for |
//! |---|---|
//! | [`gil`] | state that belongs to whoever holds the GIL |
//! | [`method`] | methods with the `METH_FASTCALL \| METH_KEYWORDS` convention, without a tuple for `*args` |
//! | [`call`] | calling callables, entering contexts |
//! | [`context`] | whether two contexts hold the same variables |
//! | [`plain`] | classes without the cycle collector's header |
//! | [`construction`] | instances with a `__dict__` |
//! | [`coroutine`] | `am_send` for native awaitables, coroutines driven from here |
//! | [`function`] | builtin functions bound to a native object |
//! | [`descriptor`] | descriptors taken over from Python |
//! | [`buffer`] | bytes objects filled in place, foreign buffers read and written |
//! | [`openssl`] | the interpreter's own OpenSSL |

pub(crate) mod buffer;
pub(crate) mod call;
pub(crate) mod construction;
pub(crate) mod context;
pub(crate) mod coroutine;
pub(crate) mod descriptor;
pub(crate) mod function;
pub(crate) mod gil;
pub(crate) mod method;
pub(crate) mod openssl;
pub(crate) mod plain;
