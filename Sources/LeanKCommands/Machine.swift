import Foundation

/// What this machine has.
enum Machine {
  static var processors: Int { max(1, ProcessInfo.processInfo.activeProcessorCount) }
  /// Bytes of main memory.
  static var memory: Int { Int(clamping: ProcessInfo.processInfo.physicalMemory) }
}
