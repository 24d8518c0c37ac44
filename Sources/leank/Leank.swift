import Foundation
import LeanKCommands

@main
struct Leank {
  static func main() {
    // A closed pipe or a file size limit becomes an error to report, not a death.
    signal(SIGPIPE, SIG_IGN)
    signal(SIGXFSZ, SIG_IGN)
    exit(runLeank(Array(CommandLine.arguments.dropFirst()), on: .standard()))
  }
}
