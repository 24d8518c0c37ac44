import ByteIO
import Foundation

/// What this machine has.
enum Machine {
  static var processors: Int { max(1, ProcessInfo.processInfo.activeProcessorCount) }
  /// Largest number of bytes this process has had in memory so far, nil where the system does not say.
  static var peakMemory: Int? {
    var usage = rusage()
    #if canImport(Darwin)
      guard unsafe getrusage(RUSAGE_SELF, &usage) == 0 else { return nil }
      return usage.ru_maxrss
    #else
      guard unsafe getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage) == 0 else { return nil }
      return usage.ru_maxrss.multiplied(by: 1024)
    #endif
  }

  /// Bytes of main memory.
  static var memory: Int { Int(clamping: ProcessInfo.processInfo.physicalMemory) }
}
