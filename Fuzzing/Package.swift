// swift-tools-version: 6.2
import PackageDescription

/// One executable that holds every target; `run.sh` builds it and names the target to it.
let package = Package(
  name: "Fuzzing",
  platforms: [.macOS(.v26)],
  dependencies: [
    .package(name: "leank", path: ".."),
    .package(url: "https://github.com/apple/swift-crypto", from: "4.0.0"),
  ],
  targets: [
    .executableTarget(
      name: "Fuzz",
      dependencies: [
        .product(name: "LeanKReaders", package: "leank"),
        .product(name: "Crypto", package: "swift-crypto"),
      ])
  ]
)
