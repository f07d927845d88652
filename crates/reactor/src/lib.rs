//! The event loop's engine, without Python: readiness, timers, wake-ups and sockets.
//!
//! It owns the kernel objects (epoll, eventfd, sockets) and the pure data structures that
//! decide a loop turn. It must not know Python, HTTP or the application: what runs when a
//! descriptor is ready is the caller's business.
