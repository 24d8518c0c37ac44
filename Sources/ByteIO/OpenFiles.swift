#if canImport(Darwin)
  import Darwin
#else
  import Glibc
#endif

/// How many files this process may have open at once.
public enum OpenFiles {
  #if canImport(Darwin)
    private static let resource = RLIMIT_NOFILE
  #else
    private static let resource = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
  #endif

  /// The limit that is in force, nil where the system does not say.
  public static var limit: Int? {
    var limit = rlimit()
    guard unsafe getrlimit(resource, &limit) == 0 else { return nil }
    return Int(clamping: limit.rlim_cur)
  }

  /// Raises the limit as far as the user may: a checkpoint of a thousand shards is a thousand open
  /// files, more than the usual limit.
  public static func allowMany() {
    var limit = rlimit()
    guard unsafe getrlimit(resource, &limit) == 0 else { return }
    limit.rlim_cur = limit.rlim_max
    _ = unsafe setrlimit(resource, &limit)
  }
}
