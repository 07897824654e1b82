"""torch's attention, whose heads need not make up the width of its inputs.

`nn.MultiheadAttention` takes the width of a head to be that of the inputs divided by the number of
heads, so none of its heads can go alone. Here the shapes of the tensors say how wide heads are.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class ResizedAttention(nn.MultiheadAttention):
    """An `nn.MultiheadAttention` with other numbers of heads; the same tensors by the same names.

    Queries, keys and values have the widths that the projections give them; logits keep the scale
    of the attention that it was made from. torch's fast paths, which know one width, are not taken.
    """

    scale: float  # of the products of queries and keys

    @classmethod
    def take_over(cls, module: nn.MultiheadAttention) -> None:
        """Make a module one of this class, with all that it has.

        Args:
            module: Whose tensors have new shapes, and whose `num_heads` fits them; changed in
                place, so that all who hold it see it.
        """
        module.__class__ = cls
        assert isinstance(module, cls)
        module.scale = module.head_dim**-0.5
        module._qkv_same_embed_dim = False  # layers and stacks of torch's take no fast path then

    def forward(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        key_padding_mask: Tensor | None = None,
        need_weights: bool = True,
        attn_mask: Tensor | None = None,
        average_attn_weights: bool = True,
        is_causal: bool = False,
    ) -> tuple[Tensor, Tensor | None]:
        """Attend, as `nn.MultiheadAttention` does; see there.

        Args:
            query: Shape (length, batch, width), or (batch, length, width) with `batch_first`, or
                without the batch.
            key: Likewise.
            value: Likewise.
            key_padding_mask: Shape (batch, keys): True, or what is added, where keys are padding.
            need_weights: Whether the weights of attention are asked for.
            attn_mask: Shape (queries, keys) or (batch * heads, queries, keys): True where a query
                does not see a key, or what is added.
            average_attn_weights: Whether the weights are a mean over heads.
            is_causal: Says that `attn_mask` is the causal one.

        Returns:
            Outputs in the layout of the query, and weights of shape (batch, queries, keys), or
            with heads after the batch; None if they are not asked for.

        Raises:
            ValueError: If `is_causal` comes without `attn_mask`.
        """
        if is_causal and attn_mask is None:
            raise ValueError("is_causal says what attn_mask is, which is missing")
        batched = query.dim() == 3
        if not batched:
            query, key, value = (part.unsqueeze(0) for part in (query, key, value))
            key_padding_mask = None if key_padding_mask is None else key_padding_mask.unsqueeze(0)
        elif not self.batch_first:
            query, key, value = (part.transpose(0, 1) for part in (query, key, value))
        q, k, v = self._with_extra_keys(*self._projected(query, key, value))
        extra = k.shape[1] - key.shape[1]
        hint = is_causal and key_padding_mask is None and not need_weights
        mask = None if hint else self._mask(attn_mask, key_padding_mask, q, extra)
        q, k, v = (part.unflatten(2, (self.num_heads, -1)).transpose(1, 2) for part in (q, k, v))
        dropout = self.dropout if self.training else 0.0
        weights = None
        if need_weights:
            logits = (q * self.scale) @ k.transpose(-2, -1)
            weights = (logits if mask is None else logits + mask).softmax(dim=-1)
            weights = F.dropout(weights, dropout) if dropout else weights
            mixed = weights @ v
        else:
            mixed = F.scaled_dot_product_attention(q, k, v, mask, dropout, hint, scale=self.scale)
        outputs = self.out_proj(mixed.transpose(1, 2).flatten(2))
        if weights is not None and average_attn_weights:
            weights = weights.mean(dim=1)
        if not batched:
            return outputs.squeeze(0), None if weights is None else weights.squeeze(0)
        return (outputs if self.batch_first else outputs.transpose(0, 1)), weights

    def _projected(self, query: Tensor, key: Tensor, value: Tensor) -> tuple[Tensor, ...]:
        packed: Tensor | None = self.in_proj_weight
        parts: tuple[Tensor, ...]
        if packed is not None:
            rows, values = len(packed), self.out_proj.weight.shape[1]
            sizes = [(rows - values) // 2, (rows - values) // 2, values]
            parts = packed.split(sizes)
        else:
            parts = (self.q_proj_weight, self.k_proj_weight, self.v_proj_weight)
            sizes = [len(part) for part in parts]
        biases = [None] * 3 if self.in_proj_bias is None else self.in_proj_bias.split(sizes)
        return tuple(map(F.linear, (query, key, value), parts, biases))

    def _with_extra_keys(self, q: Tensor, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        if self.bias_k is not None and self.bias_v is not None:
            k = torch.cat([k, self.bias_k.expand(len(k), 1, -1)], dim=1)
            v = torch.cat([v, self.bias_v.expand(len(v), 1, -1)], dim=1)
        if self.add_zero_attn:
            k, v = F.pad(k, (0, 0, 0, 1)), F.pad(v, (0, 0, 0, 1))
        return q, k, v

    def _mask(
        self, attn_mask: Tensor | None, padding: Tensor | None, q: Tensor, extra: int
    ) -> Tensor | None:
        """What is added to logits, of a shape that fits (batch, heads, queries, keys)."""
        masks = []
        if attn_mask is not None:
            mask = F.pad(_added(attn_mask, q), (0, extra))
            masks.append(mask if mask.dim() == 2 else mask.unflatten(0, (len(q), self.num_heads)))
        if padding is not None:
            masks.append(F.pad(_added(padding, q), (0, extra))[:, None, None, :])
        return sum(masks[1:], start=masks[0]) if masks else None


def free_heads(network: nn.Module) -> None:
    """Let attention of torch's run where its heads no longer make up the width of its inputs.

    Args:
        network: Changed in place.
    """
    for module in network.modules():
        if type(module) is not nn.MultiheadAttention:
            continue
        outputs, inner = module.out_proj.weight.shape
        packed: Tensor | None = module.in_proj_weight
        rows, module.embed_dim = (module.q_proj_weight if packed is None else packed).shape
        module.kdim = module.vdim = module.embed_dim
        whole = module.embed_dim if packed is None else 3 * module.embed_dim
        if packed is None:
            module.kdim, module.vdim = module.k_proj_weight.shape[1], module.v_proj_weight.shape[1]
        widths = {outputs, inner, module.embed_dim, module.num_heads * module.head_dim}
        if len(widths) > 1 or rows != whole:
            ResizedAttention.take_over(module)
    for module in network.modules():
        if isinstance(module, nn.TransformerEncoder) and any(
            isinstance(part, ResizedAttention) for part in module.modules()
        ):
            module.use_nested_tensor = False  # it looks at its first layer alone


def _added(mask: Tensor, like: Tensor) -> Tensor:
    if mask.dtype != torch.bool:
        return mask.to(like.dtype)
    return torch.zeros_like(mask, dtype=like.dtype).masked_fill(mask, float("-inf"))
