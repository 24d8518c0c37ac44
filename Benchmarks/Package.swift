// swift-tools-version: 6.2
import PackageDescription

/// What is measured beside other programs; `leank bench` measures leank against itself.
let package = Package(
  name: "Benchmarks",
  platforms: [.macOS(.v26)],
  dependencies: [
    .package(name: "leank", path: "..")
  ],
  targets: ["decode-speed", "verify-sensitivity"].map {
    .executableTarget(
      name: $0,
      dependencies: [
        .product(name: "LeanK", package: "leank"), .product(name: "LeanKTools", package: "leank"),
      ],
      swiftSettings: [.swiftLanguageMode(.v6), .treatAllWarnings(as: .error)])
  }
)
