// swift-tools-version: 6.2
import PackageDescription

/// One executable a target; `run.sh` builds and runs them.
let targets = [
  "leank_read", "leank_roundtrip", "leank_structured", "safetensors_header", "index_json",
  "json_strict", "npy", "zip_reader", "pickle", "pth_whole", "tsv", "mask_json",
]

let package = Package(
  name: "Fuzzing",
  platforms: [.macOS(.v26)],
  dependencies: [
    .package(name: "leank", path: ".."),
    .package(url: "https://github.com/apple/swift-crypto", from: "4.0.0"),
  ],
  targets: [
    .target(name: "FuzzSupport")
  ]
    + targets.map { name in
      .executableTarget(
        name: name,
        dependencies: [
          "FuzzSupport", .product(name: "LeanK", package: "leank"),
          .product(name: "LeanKTools", package: "leank"),
          .product(name: "Crypto", package: "swift-crypto"),
        ])
    }
)
