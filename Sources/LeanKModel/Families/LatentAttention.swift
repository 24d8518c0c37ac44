extension ModelFamily {
  /// Multi-head latent attention, which is refused: its cache holds one latent a token and no keys
  /// of heads, so a mask of key channels has nothing to prune there.
  static let latentAttention = ModelFamily(
    "deepseek_v2", "deepseek_v3", "deepseek_v32", "kimi_k2", "minicpm3", "glm_moe_dsa",
    "glm4_moe_lite", "longcat_flash", "mistral4", "youtu"
  ) { (builder: inout DescriptionBuilder) throws(ModelError) in
    throw builder.root.error(
      .unsupportedModel,
      "multi-head latent attention caches one latent a token and no keys of heads, so there are no "
        + "key channels to prune", "model_type")
  }

  /// Whether the keys of an unknown model are those of latent attention.
  static func isLatent(_ root: ConfigurationObject) -> Bool { root.contains("kv_lora_rank") }
}
