"""How far can synthetic medical images, and their metrics, be trusted?"""

__version__ = '0.1.0'
